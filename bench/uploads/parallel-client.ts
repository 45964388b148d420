/**
 * Sends many uploads at once, in a process of its own. Takes `{origin, headers, count, bytes}` as its argument; prints how many
 * failed and how long all took.
 */
export {};

const order = JSON.parse(Bun.argv[2] ?? '') as {
  readonly origin: string;
  readonly headers: Record<string, string>;
  readonly count: number;
  readonly bytes: number;
};
const content = crypto.getRandomValues(new Uint8Array(65_536));
const body = Buffer.alloc(order.bytes);
for (let at = 0; at < body.length; at += content.length) body.set(content.subarray(0, body.length - at), at);

/** One in two goes by tus, the other by PUT. */
async function upload(index: number): Promise<boolean> {
  const { origin, headers, bytes } = order;
  try {
    if (index % 2 === 0) {
      const response = await fetch(`${origin}/api/files/by-name/parallel-${index}`, { method: 'PUT', headers, body });
      return response.ok;
    }
    const tus = { ...headers, 'tus-resumable': '1.0.0' };
    const length = { ...tus, 'upload-length': String(bytes) };
    const created = await fetch(`${origin}/api/uploads`, { method: 'POST', headers: length });
    const url = new URL(created.headers.get('location') ?? '', origin);
    const type = { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' };
    const patched = await fetch(url, { method: 'PATCH', headers: type, body });
    return patched.headers.has('upload-file-id');
  } catch {
    return false;
  }
}

const startedAt = performance.now();
const done = await Promise.all(Array.from({ length: order.count }, (_, index) => upload(index)));
console.log(JSON.stringify({ failures: done.filter((isDone) => !isDone).length, ms: performance.now() - startedAt }));
