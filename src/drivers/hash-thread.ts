import { join } from 'node:path';

const ENTRY = join(import.meta.dirname, '../workers/sha256.ts');
/** An idle thread gives its memory back after so long. */
const IDLE_MS = 30_000;

/**
 * To the thread (`workers/sha256.ts`), each with the number of a hash. `block` may come any number of times; its place is in the last
 * `memory`, which is told when it is another than before: sending memory costs more than hashing a small block.
 */
export type HashRequest =
  | { readonly memory: SharedArrayBuffer }
  | { readonly open: number }
  | { readonly block: number; readonly at: number; readonly length: number }
  | { readonly end: number }
  | { readonly copy: number; readonly to: number }
  | { readonly drop: number };

/** From the thread: one for each block, in order, and one for the end. */
export type HashAnswer = { readonly hashed: number } | { readonly ended: number; readonly sha256: string };

/** A SHA-256 that is computed beside the event loop. */
export interface ThreadHash {
  /** Adds a block; resolves when its memory may be used again. Blocks are hashed in the order of the calls. */
  update(block: Uint8Array<SharedArrayBuffer>): Promise<void>;
  /** Another hash that has had the same blocks. */
  copy(): ThreadHash;
  /** Lower-case hex. The last call. */
  digest(): Promise<string>;
  /** Gives up: what is still waited for fails. The last call. */
  drop(): void;
}

interface Waiting {
  resolve(sha256: string): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  /** By the number of the hash, what its blocks and at last its end wait for, in order. */
  readonly hashes: Map<number, Waiting[]>;
  /** What it knows. */
  memory: SharedArrayBuffer | null;
  idle: ReturnType<typeof setTimeout> | undefined;
}

/** Opens hashes on one thread, which is started when it is first needed. It does not keep the process alive. */
export function hashThread(): () => ThreadHash {
  let current: Thread | null = null;
  let lastNumber = 0;

  const start = (): Thread => {
    const worker = new Worker(ENTRY, { smol: true, ref: false });
    const hashes: Thread['hashes'] = new Map();
    const thread: Thread = { worker, hashes, memory: null, idle: undefined };
    worker.onmessage = ({ data }: MessageEvent<HashAnswer>) => {
      if ('hashed' in data) hashes.get(data.hashed)?.shift()?.resolve('');
      else {
        hashes.get(data.ended)?.shift()?.resolve(data.sha256);
        forget(thread, data.ended);
      }
    };
    worker.onerror = ({ message }) => stop(thread, `the hashing thread failed: ${message}`);
    return thread;
  };

  /** What is still open on it fails. */
  const stop = (thread: Thread, why: string): void => {
    if (current === thread) current = null;
    clearTimeout(thread.idle);
    const open = [...thread.hashes.values()].flat();
    thread.hashes.clear();
    for (const waiting of open) waiting.reject(new Error(why));
    thread.worker.terminate();
  };

  /** The thread may still answer for one that was dropped. What waits for it fails. */
  const forget = (thread: Thread, number: number): void => {
    const open = thread.hashes.get(number);
    if (!open) return;
    thread.hashes.delete(number);
    for (const waiting of open) waiting.reject(new Error('the hash was dropped'));
    if (thread.hashes.size > 0) return;
    clearTimeout(thread.idle);
    thread.idle = setTimeout(() => stop(thread, 'the hashing thread has stopped'), IDLE_MS);
    thread.idle.unref();
  };

  /** @param source the hash that is copied, if any; one that is over has no copies that work. */
  const open = (thread: Thread, source: number | null): ThreadHash => {
    const number = ++lastNumber;
    const send = (request: HashRequest) => thread.worker.postMessage(request);
    const ask = (message: HashRequest): Promise<string> => {
      const waiting = thread.hashes.get(number);
      if (!waiting) return Promise.reject(new Error('the hashing thread is gone'));
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      waiting.push({ resolve, reject });
      send(message);
      return promise;
    };
    if (source === null || thread.hashes.has(source)) {
      clearTimeout(thread.idle);
      thread.hashes.set(number, []);
      send(source === null ? { open: number } : { copy: source, to: number });
    }
    return {
      async update({ buffer, byteOffset, length }) {
        if (thread.memory !== buffer) send({ memory: buffer });
        thread.memory = buffer;
        await ask({ block: number, at: byteOffset, length });
      },
      copy: () => open(thread, number),
      digest: () => ask({ end: number }),
      drop() {
        if (!thread.hashes.has(number)) return;
        send({ drop: number });
        forget(thread, number);
      },
    };
  };

  return () => {
    current ??= start();
    return open(current, null);
  };
}
