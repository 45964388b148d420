// The usual tus server on Node: @tus/server with its file store, as its README sets it up. It does not sign anybody in, hash, or flush
// to the disk.
import { createServer } from 'node:http';
import { FileStore } from '../.peers/tus/node_modules/@tus/file-store/dist/index.js';
import { Server } from '../.peers/tus/node_modules/@tus/server/dist/index.js';

const { PORT, DATA_DIR } = process.env;
const tus = new Server({ path: '/files', datastore: new FileStore({ directory: DATA_DIR }) });

createServer((request, response) => {
  if (request.url === '/ready') response.end('ok');
  else tus.handle(request, response);
}).listen(Number(PORT), '127.0.0.1');
