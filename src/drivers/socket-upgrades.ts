import type { Server, WebSocketHandler } from 'bun';
import type { Connection } from '../ports/connection.ts';
import type { SocketHandler, SocketRoutes } from '../ports/sockets.ts';

/**
 * Bun's own limits on sockets. They are the backstop: the rooms close earlier, with a code of their protocol. With
 * `closeOnBackpressureLimit` off the runtime would skip messages silently.
 */
const MAX_FRAME_BYTES = 1024 * 1024;
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;

/** The `websocket` option of `Bun.serve`: every event goes to the handler that the socket carries. */
export const socketEvents: WebSocketHandler<SocketHandler> = {
  maxPayloadLength: MAX_FRAME_BYTES,
  backpressureLimit: MAX_BACKLOG_BYTES,
  closeOnBackpressureLimit: true,
  // Compression costs up to 200 KB a socket, and mixing compressed and plain frames breaks some browsers.
  perMessageDeflate: false,
  // The rooms ping and reap by the rules of their protocols; the runtime's timer is reset by our own sends.
  idleTimeout: 0,
  sendPings: false,
  open: (socket) => socket.data.open(socket),
  message: (socket, frame) => socket.data.message(frame),
  drain: (socket) => socket.data.drain(),
  close: (socket, code) => socket.data.close(code),
};

/** Whether the request asks for a WebSocket (RFC 6455 §4.2.1). */
export function isUpgrade(request: Request): boolean {
  return request.headers.get('upgrade')?.toLowerCase() === 'websocket';
}

/** Answers an upgrade. `undefined` when the socket is open: the runtime then sends 101 by itself. */
export function upgrade(
  routes: SocketRoutes,
  request: Request,
  connection: Connection,
  server: Server<SocketHandler>,
): Response | undefined {
  const accepted = routes.accept(request, connection);
  if (accepted instanceof Response) return accepted;
  return server.upgrade(request, { data: accepted }) ? undefined : new Response(null, { status: 400 });
}
