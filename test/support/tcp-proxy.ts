import { createConnection, createServer, type Socket } from 'node:net';

/** A TCP proxy that stands for the network between two machines. */
export interface TcpProxy {
  readonly port: number;
  readonly url: string;
  /** Milliseconds that bytes need each way; may be changed while it runs. */
  delayMs: number;
  /** Ends all connections and lets no new one through: each is closed as soon as it is made. */
  cut(): void;
  /** Keeps and takes connections, and lets no byte through any more. */
  blackhole(): void;
  /** New connections go through again. */
  restore(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TcpProxyOptions {
  readonly targetPort: number;
  readonly delayMs?: number;
  /** The host in `url`, for a server that reads a name out of it. */
  readonly host?: string;
}

export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const { targetPort, host = '127.0.0.1' } = options;
  const sockets = new Set<Socket>();
  let mode: 'open' | 'cut' | 'blackhole' = 'open';
  let { delayMs = 0 } = options;

  const forward = (from: Socket, to: Socket) => {
    from.on('data', (chunk) => {
      if (mode !== 'open') return;
      setTimeout(() => {
        if (mode === 'open' && !to.destroyed) to.write(chunk);
      }, delayMs);
    });
    from.on('close', () => void setTimeout(() => to.end(), delayMs));
    from.on('error', () => to.destroy());
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  };

  const server = createServer((client) => {
    keep(client);
    if (mode === 'cut') {
      client.destroy();
      return;
    }
    client.setNoDelay(true);
    if (mode === 'blackhole') {
      client.on('error', () => client.destroy());
      client.resume();
      return;
    }
    const target = createConnection({ port: targetPort, host: '127.0.0.1', noDelay: true });
    keep(target);
    forward(client, target);
    forward(target, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    port,
    url: `http://${host}:${port}`,
    get delayMs() {
      return delayMs;
    },
    set delayMs(ms) {
      delayMs = ms;
    },
    cut() {
      mode = 'cut';
      endAll();
    },
    blackhole() {
      mode = 'blackhole';
    },
    restore() {
      endAll();
      mode = 'open';
    },
    async [Symbol.asyncDispose]() {
      mode = 'cut';
      endAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
