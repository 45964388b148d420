/**
 * What a subscriber says and hears, on each wire that is compared. It is spoken by hand over TCP: a ready-made client would cost
 * several times what the servers do.
 */
export interface Wire {
  /** Path and extra headers of the first request. */
  readonly path: string;
  /** Whether the answer is an event stream instead of a WebSocket. */
  readonly isEventStream: boolean;
  /** What is sent when the socket is open. */
  greet(token: string | null): readonly string[];
  /** Hears everything until it says that the subscription stands. @returns what to answer; `'subscribed'` when it stands. */
  hear(text: string): readonly string[] | 'subscribed';
  /** The answer to a frame that is no message; those are of one or two bytes. */
  pong(text: string): string | null;
}

export const TOPIC = 'public.bench';

const centrifugo: Wire = {
  path: '/connection/websocket',
  isEventStream: false,
  greet: (token) => [
    JSON.stringify({ id: 1, connect: token === null ? {} : { token } }),
    // Who is signed in has a topic of their own; these stay idle.
    ...(token === null ? [JSON.stringify({ id: 2, subscribe: { channel: TOPIC } })] : []),
  ],
  hear: (text) => {
    if (text.includes('"error"')) throw new Error(text);
    return text.includes('"subscribe":{') || text.includes('"subs":{') ? 'subscribed' : [];
  },
  pong: () => '{}',
};

/** The raw server subscribes whoever opens a socket. */
const raw: Wire = {
  path: '/socket',
  isEventStream: false,
  greet: () => [],
  hear: (text) => (text === 'ok' ? 'subscribed' : []),
  pong: () => null,
};

/** Engine.IO 4 below, Socket.IO 5 above (https://socket.io/docs/v4/socket-io-protocol/). */
const socketIo: Wire = {
  path: '/socket.io/?EIO=4&transport=websocket',
  isEventStream: false,
  greet: () => [],
  hear: (text) => (text.startsWith('0') ? ['40'] : text.startsWith('40') ? 'subscribed' : []),
  pong: (text) => (text === '2' ? '3' : null),
};

const pocketBase: Wire = {
  path: '/api/realtime',
  isEventStream: true,
  greet: () => [],
  // The subscription itself is a request of its own.
  hear: () => [],
  pong: () => null,
};

export const WIRES = { centrifugo, raw, 'socket.io': socketIo, pocketbase: pocketBase } as const;
export type WireName = keyof typeof WIRES;
