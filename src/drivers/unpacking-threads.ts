import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { PackedFile, Unpacking } from '../ports/unpacking.ts';
import { atDisk } from './disk-write.ts';

const ENTRY = join(import.meta.dirname, '../workers/unpack.ts');
/** More than the disk keeps up with. */
const MOST_THREADS = 4;
/** After so much a message asks for nothing more: a turn of the event loop for each file would cost more than small files do. */
const BATCH_FILES = 32;
const BATCH_BYTES = 2 ** 22;
/** One that a thread works on, and one that waits there for it. */
const BATCHES = 2;

/** To a thread (`workers/unpack.ts`), in lists. */
export interface UnpackRequest {
  readonly file: PackedFile;
  readonly to: string;
}

/** From it, a list for each list, in the same order. */
export type UnpackAnswer =
  | { readonly fault: string | null }
  | { readonly error: { readonly code: string; readonly message: string } };

interface Asked extends PromiseWithResolvers<string | null> {
  readonly request: UnpackRequest;
}

interface Thread {
  readonly worker: Worker;
  /** Oldest first, as they are answered. */
  readonly batches: (readonly Asked[])[];
}

/** A thread for each processor, up to four; they are started when they are first needed and keep the process alive until they are closed. */
export function unpackingThreads(): Unpacking {
  const places = Math.min(MOST_THREADS, availableParallelism());
  const threads: Thread[] = [];
  const waiting: Asked[] = [];
  let isDue = false;

  const start = (): Thread => {
    const worker = new Worker(ENTRY, { smol: true });
    const thread: Thread = { worker, batches: [] };
    worker.onmessage = ({ data }: MessageEvent<readonly UnpackAnswer[]>) => {
      for (const [at, { resolve, reject }] of (thread.batches.shift() ?? []).entries()) {
        const answer = data[at] as UnpackAnswer;
        if ('fault' in answer) resolve(answer.fault);
        else reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }));
      }
      handOutSoon();
    };
    worker.onerror = ({ message }) => {
      end(thread, `an unpacking thread failed: ${message}`);
      handOutSoon();
    };
    threads.push(thread);
    return thread;
  };

  const end = (thread: Thread, why: string): void => {
    const at = threads.indexOf(thread);
    if (at >= 0) threads.splice(at, 1);
    for (const { reject } of thread.batches.flat()) reject(new Error(why));
    thread.batches.length = 0;
    thread.worker.terminate();
  };

  /** The one that has the least to do; `null` when all have enough. */
  const choose = (): Thread | null => {
    const least = threads.toSorted((a, b) => a.batches.length - b.batches.length)[0];
    if (!least || (least.batches.length > 0 && threads.length < places)) return start();
    return least.batches.length < BATCHES ? least : null;
  };

  const takeBatch = (): Asked[] => {
    const most = Math.min(BATCH_FILES, Math.ceil(waiting.length / places));
    let count = 0;
    for (let bytes = 0; count < most && bytes < BATCH_BYTES; count++) bytes += waiting[count]?.request.file.bytes ?? 0;
    return waiting.splice(0, count);
  };

  const handOut = (): void => {
    isDue = false;
    while (waiting.length > 0) {
      const thread = choose();
      if (!thread) return;
      const batch = takeBatch();
      thread.batches.push(batch);
      thread.worker.postMessage(batch.map(({ request }) => request));
    }
  };

  /** When this turn of the event loop has said all that it wants. */
  const handOutSoon = (): void => {
    if (isDue) return;
    isDue = true;
    setImmediate(handOut);
  };

  return {
    unpack({ path, bytes, sha256, storedBytes, storedSha256 }, to) {
      const request: UnpackRequest = { to, file: { path, bytes, sha256, storedBytes, storedSha256 } };
      const asked: Asked = { request, ...Promise.withResolvers<string | null>() };
      waiting.push(asked);
      handOutSoon();
      return atDisk(asked.promise);
    },
    close() {
      const why = 'the unpacking threads were ended';
      for (const { reject } of waiting.splice(0)) reject(new Error(why));
      for (const thread of [...threads]) end(thread, why);
    },
  };
}
