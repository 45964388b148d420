/**
 * Writes at a fixed pace until it is told to end, then tells what became of it: `writer-process.ts ORIGIN AUTHORIZATION PER_SECOND`.
 * A write counts from when it was due, so that one that waits for another is not taken for fast.
 */
export {};

const [origin = '', authorization = '', perSecond = ''] = process.argv.slice(2);
const pauseMs = 1_000 / Number(perSecond);
const times: number[] = [];
const underWay = new Set<Promise<void>>();
let failed = 0;
let isOver = false;

async function write(dueAt: number, number: number): Promise<void> {
  try {
    const response = await fetch(`${origin}/api/auth/me`, {
      method: 'PATCH',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `name ${number}` }),
    });
    await response.arrayBuffer();
    if (!response.ok) failed++;
  } catch {
    failed++;
  }
  times.push(performance.now() - dueAt);
}

process.on('message', () => {
  isOver = true;
});

const startedAt = performance.now();
for (let number = 0; !isOver; number++) {
  const dueAt = startedAt + number * pauseMs;
  const waitMs = dueAt - performance.now();
  if (waitMs > 1) await Bun.sleep(waitMs);
  const writing: Promise<void> = write(dueAt, number).finally(() => underWay.delete(writing));
  underWay.add(writing);
}
await Promise.all(underWay);
times.sort((a, b) => a - b);
const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
process.send?.({ done: times.length, failed, p50Ms: at(0.5), p99Ms: at(0.99), mostMs: at(1) });
process.disconnect?.();
