/** A ready answer of `SIZE` bytes, without a function: the floor of serving bytes on Bun, and the origin behind caches. */
const { PORT, SIZE = '10240' } = process.env;
const headers = { 'content-type': 'text/css', 'cache-control': 'public, max-age=3600', etag: '"v1"' };
const answer = new Response(new Uint8Array(Number(SIZE)).fill(97), { headers });

Bun.serve({
  port: Number(PORT),
  hostname: '127.0.0.1',
  routes: { '/cached/answer': answer },
  fetch: () => new Response(null, { status: 404 }),
});
