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
/** … after so many looks, whatever the client brings and the store takes … */
const TURN_LOOKS = 10;
/** … or after so few, when the client has brought less than this for each of them. */
const SLOW_LOOKS = 4;
const SLOW_BYTES = 64 * 1024;

interface Stream {
  hasTurn: boolean;
  isAsking: boolean;
  /** In this turn. */
  bytes: number;
  looks: number;
  wake: () => void;
}

/**
 * Lets so many streams be read from at once, in the order in which they ask. While somebody waits, every turn ends after a moment, that
 * of a slow client sooner, so nobody is kept waiting for good, whatever others do.
 */
export function createTurns(places: number): OpenTurn {
  const reading = new Set<Stream>();
  const waiting = new Set<Stream>();
  let isWatching = false;

  const begin = (stream: Stream): void => {
    reading.add(stream);
    Object.assign(stream, { hasTurn: true, bytes: 0, looks: 0 });
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
    stream.looks++;
    const isSlow = stream.isAsking && stream.looks >= SLOW_LOOKS && stream.bytes < stream.looks * SLOW_BYTES;
    if (isSlow || stream.looks >= TURN_LOOKS) finish(stream);
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
      looks: 0,
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
