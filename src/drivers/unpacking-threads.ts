import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { PackedFile, Unpacking } from '../ports/unpacking.ts';
import { atDisk } from './disk-write.ts';

const ENTRY = join(import.meta.dirname, '../workers/unpack.ts');
/** More than the disk keeps up with. */
const MOST_THREADS = 4;

/** To a thread (`workers/unpack.ts`). */
export interface UnpackRequest {
  readonly number: number;
  readonly file: PackedFile;
  readonly to: string;
}

/** From it, one for each request. */
export type UnpackAnswer = { readonly number: number } & (
  | { readonly fault: string | null }
  | { readonly error: { readonly code: string; readonly message: string } }
);

interface Thread {
  readonly worker: Worker;
  /** By the number of the request. */
  readonly asked: Map<number, PromiseWithResolvers<string | null>>;
}

/** A thread for each processor, up to four; they are started when they are first needed and keep the process alive until they are closed. */
export function unpackingThreads(): Unpacking {
  const places = Math.min(MOST_THREADS, availableParallelism());
  const threads: Thread[] = [];
  let lastNumber = 0;

  const start = (): Thread => {
    const worker = new Worker(ENTRY, { smol: true });
    const thread: Thread = { worker, asked: new Map() };
    worker.onmessage = ({ data }: MessageEvent<UnpackAnswer>) => {
      const asked = thread.asked.get(data.number);
      thread.asked.delete(data.number);
      if ('fault' in data) asked?.resolve(data.fault);
      else asked?.reject(Object.assign(new Error(data.error.message), { code: data.error.code }));
    };
    worker.onerror = ({ message }) => end(thread, `an unpacking thread failed: ${message}`);
    threads.push(thread);
    return thread;
  };

  const end = (thread: Thread, why: string): void => {
    const at = threads.indexOf(thread);
    if (at >= 0) threads.splice(at, 1);
    for (const { reject } of thread.asked.values()) reject(new Error(why));
    thread.asked.clear();
    thread.worker.terminate();
  };

  /** The one that has the least to do. */
  const choose = (): Thread => {
    const [first, ...others] = threads;
    if (!first) return start();
    const least = others.reduce((best, thread) => (thread.asked.size < best.asked.size ? thread : best), first);
    return least.asked.size > 0 && threads.length < places ? start() : least;
  };

  return {
    unpack(file, to) {
      const { worker, asked } = choose();
      const number = ++lastNumber;
      const waiting = Promise.withResolvers<string | null>();
      asked.set(number, waiting);
      const { path, bytes, sha256, storedBytes, storedSha256 } = file;
      const request: UnpackRequest = { number, to, file: { path, bytes, sha256, storedBytes, storedSha256 } };
      worker.postMessage(request);
      return atDisk(waiting.promise);
    },
    close() {
      for (const thread of [...threads]) end(thread, 'the unpacking threads were ended');
    },
  };
}
