import { withoutIdleCut } from '../../web/idle-cut.ts';
import { uploadProblems } from './problems.ts';
import type { OpenTurn, Turn } from './turns.ts';

/** A connection that stays silent for so long is given up. */
export const STALL_MS = 60_000;

interface ReadOptions {
  readonly stallMs?: number;
  readonly turn?: Turn;
  /** The request's own: who is gone is not kept waiting, and what came before is read. */
  readonly signal?: AbortSignal;
}

/**
 * The chunks of a request body, each read when it is the body's turn. Ends with `uploads/stalled` when nothing arrives for `stallMs`,
 * and with `uploads/interrupted` when the client goes away. Ending the iteration early stops the body.
 */
export function readBody(
  body: ReadableStream<Uint8Array> | null,
  { stallMs = STALL_MS, turn, signal }: ReadOptions = {},
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      // Until somebody reads, the runtime takes less of a body in.
      let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
      let isOver = false;
      const endTurn = (): void => {
        signal?.removeEventListener('abort', endTurn);
        turn?.end();
      };
      if (turn) signal?.addEventListener('abort', endTurn);
      const stop = async (): Promise<IteratorReturnResult<undefined>> => {
        isOver = true;
        endTurn();
        // Cancelling a body whose client is gone rejects; it is over either way.
        (reader ?? body)?.cancel().catch(() => undefined);
        return { done: true, value: undefined };
      };
      const read = (): Promise<IteratorResult<Uint8Array>> => {
        if (!body || isOver) return Promise.resolve({ done: true, value: undefined });
        const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>();
        const timer = setTimeout(() => {
          reject(uploadProblems.create('stalled', { headers: { connection: 'close' } }));
          void stop();
        }, stallMs);
        reader ??= body.getReader();
        reader.read().then(
          (result) => {
            clearTimeout(timer);
            if (result.done) endTurn();
            else turn?.came(result.value.length);
            resolve(result.done ? { done: true, value: undefined } : result);
          },
          (error: unknown) => {
            clearTimeout(timer);
            endTurn();
            reject(uploadProblems.create('interrupted', { cause: error }));
          },
        );
        return promise;
      };
      return {
        next() {
          const others = signal?.aborted ? undefined : turn?.ask();
          return others ? others.then(read) : read();
        },
        return: stop,
      };
    },
  };
}

/** A body of at most so many bytes is read in one go, which costs a fraction of streaming it. */
const SMALL_BYTES = 64 * 1024;

/**
 * Does `work` with the chunks of a request's body, however long they take to come: the connection is kept open as long as it is not
 * silent for a minute. The chunks fail as those of {@link readBody} do.
 */
export function withIncomingBody<T>(
  request: Request,
  openTurn: OpenTurn,
  work: (body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) <= SMALL_BYTES) return work(readWhole(request));
  return withoutIdleCut(request, () => work(readBody(request.body, { turn: openTurn(), signal: request.signal })));
}

async function* readWhole(request: Request): AsyncGenerator<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await request.arrayBuffer());
  } catch (error) {
    throw uploadProblems.create('interrupted', { cause: error });
  }
  if (bytes.length > 0) yield bytes;
}

export interface TappedBody {
  /** The same chunks, to be read once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The first bytes of what was read so far, at most as many as were asked for. */
  head(): Uint8Array;
}

/** Keeps a copy of a stream's beginning while it passes. */
export function tapHead(source: AsyncIterable<Uint8Array>, maxBytes: number): TappedBody {
  const kept: Uint8Array[] = [];
  let missing = maxBytes;
  async function* pass(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (missing > 0) {
        const part = chunk.slice(0, missing);
        kept.push(part);
        missing -= part.length;
      }
      yield chunk;
    }
  }
  return { body: pass(), head: () => Buffer.concat(kept) };
}
