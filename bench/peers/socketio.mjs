// Socket.IO 4 on Node, as its guide shows it: websockets without compression, one room that everybody is in.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../.peers/socketio/package.json', import.meta.url));
const { Server } = require('socket.io');

const http = createServer(async (request, response) => {
  if (request.url === '/publish') {
    let body = '';
    for await (const chunk of request) body += chunk;
    io.emit('message', JSON.parse(body));
  }
  response.setHeader('content-type', 'application/json').end('{}');
});
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false });
http.listen(Number(process.env.PORT), '127.0.0.1');
