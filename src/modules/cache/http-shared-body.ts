import type { Allowance } from '../../kernel/allowance.ts';
import { inTime } from '../../kernel/in-time.ts';
import type { Clock } from '../../ports/clock.ts';

/**
 * Content that several read while it comes: the one who asked first from its first byte, others from their own first byte, and the
 * store when it is whole.
 */
export interface SharedBody {
  /** The content; `null` when it outgrew what is kept, or broke off. Never rejects. */
  readonly whole: Promise<Uint8Array<ArrayBuffer> | null>;
  /** Resolves when the first chunk is here, or the end. */
  readonly begun: Promise<void>;
  /** The content, once all of it is here. */
  readonly complete: Uint8Array<ArrayBuffer> | null;
  /** When its latest chunk came; at first, when it began. */
  readonly movedAt: number;
  /** A reader of its own, from the first byte. The first one called is the reader that goes on when the content outgrows what is kept. */
  open(): ReadableStream<Uint8Array>;
  /** Nobody will read what is not kept. */
  leave(): void;
}

export interface SharedBodyOptions {
  readonly maxBytes: number;
  /** How long the source may be silent until it is taken for broken. */
  readonly silenceMs: number;
  readonly clock: Clock;
  /** Bytes taken from the allowance already: the length that was declared, or 0. */
  readonly reservedBytes: number;
  readonly allowance: Allowance;
}

/**
 * Reads `source` to its end at its own speed, whoever reads along, as long as it stays within its bounds. When it outgrows them it
 * goes on for its first reader alone, no faster than that one reads, and nothing of it is kept.
 */
export function shareBody(source: ReadableStream<Uint8Array>, options: SharedBodyOptions): SharedBody {
  const { maxBytes, silenceMs, clock, allowance } = options;
  const reader = source.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let taken = options.reservedBytes;
  let state: 'reading' | 'done' | 'outgrown' | 'broken' = 'reading';
  let fault: unknown;
  let complete: Uint8Array<ArrayBuffer> | null = null;
  let movedAt = clock.now();
  let first: 'awaited' | 'reading' | 'gone' = 'awaited';
  let changed = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const whole = Promise.withResolvers<Uint8Array<ArrayBuffer> | null>();

  const tell = () => {
    const { resolve } = changed;
    changed = Promise.withResolvers<void>();
    resolve();
    begun.resolve();
  };
  const release = () => {
    allowance.give(taken);
    taken = 0;
    chunks.length = 0;
  };
  const mayKeep = (): boolean => {
    if (size > maxBytes) return false;
    if (size <= taken) return true;
    const more = size - taken;
    if (!allowance.take(more)) return false;
    taken += more;
    return true;
  };

  const pump = async () => {
    for (;;) {
      const { done, value } = await inTime(reader.read(), silenceMs, () => new Error('the origin fell silent'));
      movedAt = clock.now();
      if (done) {
        complete = joined(chunks, size);
        state = 'done';
        return release();
      }
      chunks.push(value);
      size += value.byteLength;
      if (!mayKeep()) {
        state = 'outgrown';
        if (first === 'gone') giveUp();
        return;
      }
      tell();
    }
  };
  const giveUp = (reason?: unknown) => {
    release();
    reader.cancel(reason).catch(() => undefined);
  };
  pump()
    .catch((error) => {
      fault = error;
      state = 'broken';
      giveUp(error);
    })
    .finally(() => {
      tell();
      whole.resolve(complete);
    });

  const leave = (reason?: unknown) => {
    first = 'gone';
    if (state === 'outgrown') giveUp(reason);
  };

  const open = (isFirst: boolean): ReadableStream<Uint8Array> => {
    let next = 0;
    let offset = 0;
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        for (;;) {
          if (complete) {
            if (offset < complete.byteLength) controller.enqueue(complete.subarray(offset));
            return controller.close();
          }
          if (state === 'broken') return controller.error(fault);
          const chunk = chunks[next];
          if (chunk) {
            next++;
            offset += chunk.byteLength;
            return controller.enqueue(chunk);
          }
          if (state === 'outgrown') {
            if (!isFirst) return controller.error(new Error('the content outgrew what can be shared'));
            // What was kept has been read by the one reader it is for.
            release();
            next = 0;
            const { done, value } = await reader.read();
            return done ? controller.close() : controller.enqueue(value);
          }
          await changed.promise;
        }
      },
      cancel(reason) {
        if (isFirst) leave(reason);
      },
    });
  };

  return {
    whole: whole.promise,
    begun: begun.promise,
    get complete() {
      return complete;
    },
    get movedAt() {
      return movedAt;
    },
    open() {
      const isFirst = first === 'awaited';
      if (isFirst) first = 'reading';
      return open(isFirst);
    },
    leave: () => leave(),
  };
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
