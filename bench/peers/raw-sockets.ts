/** The floor of fan-out on Bun: whoever opens a socket hears what is posted. No history, no numbers, no rights. */
const TOPIC = 'all';

const server: Bun.Server<undefined> = Bun.serve({
  port: Number(process.env['PORT']),
  hostname: '127.0.0.1',
  routes: {
    '/ready': new Response('ok'),
    '/publish': {
      async POST(request) {
        server.publish(TOPIC, await request.text());
        return Response.json({});
      },
    },
  },
  fetch: (request) => (server.upgrade(request) ? undefined : new Response(null, { status: 404 })),
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe(TOPIC);
      socket.send('ok');
    },
    message: () => undefined,
  },
});
