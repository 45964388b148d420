/** The right of a stream to be read from. Reading from all at once would keep the event loop for a tenth of a second at a time. */
export interface Turn {
  /** Asks for more to be read. A promise is to be awaited first: others have their turn. */
  ask(): Promise<void> | undefined;
  /** What was asked for is here. */
  came(bytes: number): void;
  /** Nothing more is read; who waits goes on. Idempotent. */
  end(): void;
}

export type OpenTurn = () => Turn;

/** While others wait, a turn is over after so many bytes … */
const TURN_BYTES = 8 * 2 ** 20;
const WATCH_MS = 5;
/** … or when the client has brought nothing for so many looks … */
const SILENT_LOOKS = 4;
/** … or when its bytes have been held up for so many, by a store that is slow. */
const HELD_UP_LOOKS = 50;

interface Stream {
  hasTurn: boolean;
  isAsking: boolean;
  /** In this turn. */
  bytes: number;
  bytesAtLook: number;
  idleLooks: number;
  wake: () => void;
}

/**
 * Lets so many streams be read from at once, in the order in which they ask. Streams that bring little keep their turn only while nobody
 * waits, so slow clients hold nobody up, however many they are.
 */
export function createTurns(places: number): OpenTurn {
  const reading = new Set<Stream>();
  const waiting = new Set<Stream>();
  let isWatching = false;

  const begin = (stream: Stream): void => {
    reading.add(stream);
    Object.assign(stream, { hasTurn: true, bytes: 0, bytesAtLook: -1, idleLooks: 0 });
  };
  const finish = (stream: Stream): void => {
    stream.hasTurn = false;
    reading.delete(stream);
    const [next] = waiting;
    if (!next) return;
    waiting.delete(next);
    begin(next);
    next.wake();
  };
  const look = (stream: Stream): void => {
    const isIdle = stream.bytes === stream.bytesAtLook;
    stream.bytesAtLook = stream.bytes;
    stream.idleLooks = isIdle ? stream.idleLooks + 1 : 0;
    if (stream.idleLooks >= (stream.isAsking ? SILENT_LOOKS : HELD_UP_LOOKS)) finish(stream);
  };
  const watch = (): void => {
    for (const stream of [...reading]) if (waiting.size > 0) look(stream);
    isWatching = waiting.size > 0;
    if (isWatching) setTimeout(watch, WATCH_MS);
  };

  return () => {
    const stream: Stream = {
      hasTurn: false,
      isAsking: false,
      bytes: 0,
      bytesAtLook: -1,
      idleLooks: 0,
      wake: () => undefined,
    };
    return {
      ask() {
        stream.isAsking = true;
        if (stream.hasTurn) return undefined;
        if (reading.size < places) {
          begin(stream);
          return undefined;
        }
        waiting.add(stream);
        if (!isWatching) setTimeout(watch, WATCH_MS);
        isWatching = true;
        return new Promise((resolve) => {
          stream.wake = resolve;
        });
      },
      came(bytes) {
        stream.isAsking = false;
        stream.bytes += bytes;
        if (stream.hasTurn && stream.bytes >= TURN_BYTES && waiting.size > 0) finish(stream);
      },
      end() {
        if (waiting.delete(stream)) stream.wake();
        if (stream.hasTurn) finish(stream);
      },
    };
  };
}
