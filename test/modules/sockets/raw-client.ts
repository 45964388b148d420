import { eventually } from '../../support/eventually.ts';

type Frame = Readonly<Record<string, unknown>>;

/** A client that sends what it is told and keeps all that comes, one entry for each JSON object. */
export interface RawClient {
  readonly frames: readonly Frame[];
  /** Texts as they came. */
  readonly texts: readonly string[];
  send(...commands: (object | string)[]): void;
  /** Sends one command and gives its reply. */
  ask(command: object): Promise<Frame>;
  /** The first frame, so far or to come, that fits. */
  until(fits: (frame: Frame) => boolean): Promise<Frame>;
  /** How it was closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly isClosed: () => boolean;
  close(): void;
  /** Is gone without a word. */
  vanish(): void;
}

/** @param headers extra ones of the upgrade. */
export async function connectWebSocket(url: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const frames: Frame[] = [];
  const texts: string[] = [];
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  let isClosed = false;
  let lastId = 0;
  const socket = new WebSocket(url, { headers } as unknown as string[]);
  socket.onmessage = ({ data }) => {
    texts.push(String(data));
    for (const line of String(data).split('\n')) frames.push(JSON.parse(line));
  };
  socket.onclose = ({ code, reason }) => {
    isClosed = true;
    closed.resolve({ code, reason });
  };
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error('the socket did not open'));
  });
  socket.onerror = null;

  const until: RawClient['until'] = async (fits) => {
    await eventually(() => frames.some(fits));
    return frames.find(fits) as Frame;
  };
  return {
    frames,
    texts,
    until,
    closed: closed.promise,
    isClosed: () => isClosed,
    send: (...commands) =>
      socket.send(
        commands.map((command) => (typeof command === 'string' ? command : JSON.stringify(command))).join('\n'),
      ),
    ask(command) {
      const id = ++lastId;
      socket.send(JSON.stringify({ id, ...command }));
      return until((frame) => frame['id'] === id);
    },
    close: () => socket.close(),
    vanish: () => (socket as WebSocket & { terminate(): void }).terminate(),
  };
}

/** A raw client that has said who it is. */
export async function connectCentrifugo(url: string, token?: string): Promise<RawClient> {
  const client = await connectWebSocket(url);
  await client.ask({ connect: token === undefined ? {} : { token } });
  return client;
}

/** The publications that came on a channel, in order. */
export function publicationsOf({ frames }: RawClient, channel: string): { data: unknown; offset: number }[] {
  return frames.flatMap(({ push }) => {
    const { channel: of, pub } = (push ?? {}) as { channel?: string; pub?: { data: unknown; offset: number } };
    return pub && of === channel ? [pub] : [];
  });
}
