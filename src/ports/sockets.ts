/**
 * WebSockets as the rooms see them. A room decides who may open one and supplies a handler; the driver that listens owns the
 * wire. Groups are the driver's own fan-out: a frame sent to a group is framed once and written to all its members.
 */

import type { Connection } from './connection.ts';

/** One open socket. Frames are text; order of `send` and group frames to one socket is the order of the calls. */
export interface Socket {
  send(frame: string): void;
  /** Bytes that were sent and that the client has not taken yet, beyond what the system's own buffers hold. */
  getBufferedAmount(): number;
  /** Starts the closing handshake. Frames sent before are delivered first. */
  close(code: number, reason: string): void;
  /** Cuts the connection without a handshake. */
  terminate(): void;
  subscribe(group: string): void;
  unsubscribe(group: string): void;
  /** Sends to every member of the group but this socket. */
  publish(group: string, frame: string): void;
}

/** What one socket does; made when it is accepted, kept by the driver as long as it is open. */
export interface SocketHandler {
  open(socket: Socket): void;
  /** Calls may follow each other before earlier ones are done: the handler keeps order itself. */
  message(frame: string | Uint8Array): void;
  /** The client has taken what was held back. */
  drain(): void;
  /** Called once, whoever closed. */
  close(code: number): void;
}

/** Who upgrades requests to sockets. */
export interface SocketRoutes {
  /** Path patterns of the runtime's router (`/app/:key`). */
  readonly paths: readonly string[];
  /** Accepts an upgrade with a handler, or refuses it with an answer. MUST NOT throw. */
  accept(request: Request, connection: Connection): SocketHandler | Response;
  /** Hands over what only the driver can do, before the first request. */
  attach(groups: SocketGroups): void;
}

export interface SocketGroups {
  /** Sends a frame to every member of a group. */
  publish(group: string, frame: string): void;
}
