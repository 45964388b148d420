import { createConnection, createServer, type Socket } from 'node:net';

/** Stands at one address in front of whichever server is there now, with the pace of a network. */
export interface Relay {
  readonly url: string;
  /** New connections go to this port; the old ones are cut. */
  pointTo(port: number): void;
  close(): Promise<void>;
}

const TICK_MS = 10;

/** @param bytesPerSecond what goes from clients to the server, over all connections. */
export async function startRelay(bytesPerSecond: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let target = 0;
  let allowance = 0;
  const waiting = new Set<Socket>();
  const pace = setInterval(() => {
    const share = (bytesPerSecond * TICK_MS) / 1000;
    allowance = Math.min(allowance + share, share);
    if (allowance <= 0) return;
    for (const socket of waiting) socket.resume();
    waiting.clear();
  }, TICK_MS);

  const keep = (socket: Socket, other: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = createConnection({ port: target, host: '127.0.0.1' });
    keep(client, upstream);
    keep(upstream, client);
    upstream.pipe(client);
    client.on('data', (chunk) => {
      allowance -= chunk.length;
      const isTaken = upstream.write(chunk);
      if (isTaken && allowance >= 0) return;
      client.pause();
      if (isTaken) waiting.add(client);
      else upstream.once('drain', () => waiting.add(client));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    url: `http://127.0.0.1:${port}`,
    pointTo(next) {
      target = next;
      cut();
    },
    async close() {
      clearInterval(pace);
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
