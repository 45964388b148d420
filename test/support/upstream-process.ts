/** An upstream for tests, in a process of its own so that it can be killed. Prints its port; `NAME` tells it from its equals. */
import { createServer } from 'node:net';

const name = process.env['NAME'] ?? 'upstream';
let count = 0;

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env['PORT'] ?? 0),
  idleTimeout: 0,
  async fetch(request) {
    const url = new URL(request.url);
    const query = url.searchParams;
    const headers = new Headers({ 'x-upstream': name, 'x-count': String(++count), 'content-type': 'text/plain' });
    for (const [field, value] of query) if (field.startsWith('h-')) headers.append(field.slice(2), value);
    switch (url.pathname.split('/').at(-1)) {
      case 'echo': {
        const body = await request.text();
        const sent = Object.fromEntries(request.headers);
        return Response.json(
          { method: request.method, path: url.pathname + url.search, headers: sent, body },
          { headers },
        );
      }
      case 'redirect':
        headers.set('location', `${url.origin}/shop/elsewhere`);
        return new Response(null, { status: 302, headers });
      case 'silent':
        return new Promise<Response>(() => undefined);
      case 'bytes': {
        let left = Number(query.get('size'));
        const chunk = new Uint8Array(64 * 1024).fill(97);
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            if (left <= 0) return controller.close();
            controller.enqueue(chunk.subarray(0, Math.min(left, chunk.length)));
            left -= chunk.length;
          },
        });
        return new Response(body, { headers });
      }
      case 'drip': {
        const encoder = new TextEncoder();
        const body = new ReadableStream<Uint8Array>({
          async start(controller) {
            for (const text of ['one', 'two', 'three']) {
              controller.enqueue(encoder.encode(text));
              await Bun.sleep(150);
            }
            controller.close();
          },
        });
        return new Response(body, { headers });
      }
      case 'size':
        return new Response(String((await request.arrayBuffer()).byteLength), { headers });
      default:
        return new Response(`${name} ${count}`, { status: Number(query.get('status') ?? 200), headers });
    }
  },
});

/** What no honest server sends. */
const liar = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', (data) => {
    const path = data.toString('latin1').split(' ')[1] ?? '';
    const head = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n';
    if (path.endsWith('/short')) socket.end(`${head}Content-Length: 100\r\n\r\nshort`);
    else if (path.endsWith('/long'))
      socket.end(`${head}Content-Length: 4\r\n\r\nlongHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    else if (path.endsWith('/huge')) socket.end(`${head}Content-Length: 99999999999999\r\n\r\nhuge`);
    else if (path.endsWith('/status')) socket.end('HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi');
    else if (path.endsWith('/early'))
      socket.end('HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
    else socket.destroy();
  });
});
liar.listen(0, '127.0.0.1', () => {
  const address = liar.address();
  console.log(`ready ${server.port} ${typeof address === 'object' && address ? address.port : 0}`);
});
