/** An answer: the request's name with its result, or what was wrong. */
export type RealtimeReply = Readonly<Record<string, unknown>> & {
  readonly error?: { readonly code: number; readonly message: string; readonly temporary?: boolean };
};

export interface LineEnd {
  /** Coming back would be no use. */
  readonly isFinal: boolean;
  readonly reason: string;
}

/** One WebSocket of Centrifugo's JSON protocol: questions with answers, and what comes by itself. */
export interface Line {
  /** Never rejects: a line that ends answers everything with code 0, as temporary. */
  ask(command: object): Promise<RealtimeReply>;
  /** Ends the line when the server is silent for much longer than it said. @param seconds 0 for never. */
  expectPings(seconds: number): void;
  close(): void;
}

export interface LineHandlers {
  readonly onPush: (push: object) => void;
  readonly onEnd: (end: LineEnd) => void;
}

const PING_SLACK_MS = 10_000;
const GONE: RealtimeReply = { error: { code: 0, message: 'the connection was lost', temporary: true } };

export function createLine(url: string, { onPush, onEnd }: LineHandlers): Line {
  const socket = new WebSocket(url);
  const asked = new Map<number, (reply: RealtimeReply) => void>();
  let early: string[] | null = [];
  let lastId = 0;
  let silenceMs = 0;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;

  const send = (frame: string) => (early ? void early.push(frame) : socket.send(frame));
  const watch = () => {
    clearTimeout(silence);
    if (silenceMs > 0)
      silence = setTimeout(() => finish({ isFinal: false, reason: 'the server is silent' }), silenceMs);
  };
  const finish = (end: LineEnd) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(silence);
    socket.close();
    for (const answer of asked.values()) answer(GONE);
    asked.clear();
    onEnd(end);
  };

  socket.onopen = () => {
    for (const frame of early ?? []) socket.send(frame);
    early = null;
  };
  socket.onmessage = ({ data }) => {
    watch();
    for (const text of String(data).split('\n')) {
      const frame = JSON.parse(text) as RealtimeReply & { readonly id?: number; readonly push?: object };
      if (frame.push) onPush(frame.push);
      else if (frame.id === undefined) send('{}');
      else {
        asked.get(frame.id)?.(frame);
        asked.delete(frame.id);
      }
    }
  };
  // Codes: https://centrifugal.dev/docs/server/codes#disconnect-codes
  socket.onclose = ({ code, reason }) =>
    finish({ isFinal: (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000), reason: reason || String(code) });

  return {
    ask(command) {
      if (isOver) return Promise.resolve(GONE);
      const id = ++lastId;
      return new Promise((resolve) => {
        asked.set(id, resolve);
        send(JSON.stringify({ id, ...command }));
      });
    },
    expectPings(seconds) {
      silenceMs = seconds > 0 ? seconds * 1000 + PING_SLACK_MS : 0;
      watch();
    },
    close: () => finish({ isFinal: false, reason: 'closed' }),
  };
}

const FIRST_MS = 500;
const LONGEST_MS = 20_000;

/** Waits between attempts: twice as long each time, spread so that clients do not come back all at once. */
export function createBackoff(): { next(): number; reset(): void } {
  let attempts = 0;
  return {
    next: () => Math.min(LONGEST_MS, FIRST_MS * 2 ** attempts++) * (0.2 + 0.8 * Math.random()),
    reset() {
      attempts = 0;
    },
  };
}
