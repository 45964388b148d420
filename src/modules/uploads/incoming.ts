import { withoutIdleCut } from '../../web/idle-cut.ts';
import { uploadProblems } from './problems.ts';

/** A connection that stays silent for so long is given up. */
export const STALL_MS = 60_000;

/**
 * The chunks of a request body. Ends with `uploads/stalled` when nothing arrives for `stallMs`, and with
 * `uploads/interrupted` when the client goes away. Ending the iteration early stops the body.
 */
export function readBody(body: ReadableStream<Uint8Array> | null, stallMs = STALL_MS): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const reader = body?.getReader();
      const stop = async (): Promise<IteratorReturnResult<undefined>> => {
        // Cancelling a body whose client is gone rejects; it is over either way.
        reader?.cancel().catch(() => undefined);
        return { done: true, value: undefined };
      };
      return {
        next() {
          if (!reader) return Promise.resolve({ done: true, value: undefined });
          const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>();
          const timer = setTimeout(() => {
            reject(uploadProblems.create('stalled', { headers: { connection: 'close' } }));
            void stop();
          }, stallMs);
          reader.read().then(
            (result) => {
              clearTimeout(timer);
              resolve(result.done ? { done: true, value: undefined } : result);
            },
            (error: unknown) => {
              clearTimeout(timer);
              reject(uploadProblems.create('interrupted', { cause: error }));
            },
          );
          return promise;
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
  work: (body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) <= SMALL_BYTES) return work(readWhole(request));
  return withoutIdleCut(request, () => work(readBody(request.body)));
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
