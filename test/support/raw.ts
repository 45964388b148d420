import { connect } from 'node:net';

/** A bare connection: sends what no HTTP client would send, and shows all that comes back. */
export interface RawConnection {
  write(data: string | Uint8Array): void;
  /** What has come so far. */
  received(): string;
  /** Resolves when what has come matches; fails when the connection ends or stays silent before that. */
  until(pattern: RegExp): Promise<string>;
  /** All that came, once the other side has closed. */
  readonly closed: Promise<string>;
  close(): void;
}

const PATIENCE_MS = 15_000;

export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const ended = Promise.withResolvers<string>();
  let received = '';
  let heard: () => void = () => undefined;
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    heard();
  });
  // A reset is an end like any other here: what counts is what came before it.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    ended.resolve(received);
    heard();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    write: (data) => void socket.write(data),
    received: () => received,
    closed: ended.promise,
    close: () => void socket.destroy(),
    until(pattern) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`nothing like ${pattern} came, only: ${received}`)),
          PATIENCE_MS,
        );
        heard = () => {
          if (!pattern.test(received)) {
            if (!socket.destroyed) return;
            clearTimeout(timer);
            reject(new Error(`the connection ended without ${pattern}: ${received}`));
            return;
          }
          clearTimeout(timer);
          resolve(received);
        };
        heard();
      });
    },
  };
}

/** Sends one request as written and gives all that came until the server closed. */
export async function sendRaw(url: string, request: string): Promise<string> {
  const connection = await connectRaw(url);
  connection.write(request);
  const timer = setTimeout(() => connection.close(), PATIENCE_MS);
  try {
    return await connection.closed;
  } finally {
    clearTimeout(timer);
  }
}

/** The status of a raw answer; 0 when there is none. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
}
