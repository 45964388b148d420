import { serverProblems } from '../kernel/problems.ts';
import type { ChildJobOptions, ChildOutcome, ChildPool, JobAnswer, JobMessage } from '../ports/child-pool.ts';
import type { Logger } from '../ports/logger.ts';
import { createExchangeFile, type ExchangeFile } from './exchange-file.ts';
import { residentBytes } from './process-memory.ts';

export interface ChildPoolOptions {
  /** For the log. */
  readonly name: string;
  /** File of the child's program; it calls `serveJobs`. */
  readonly entry: string;
  /** Most children at once; they are started when there is work for them. */
  readonly size: number;
  /** Most jobs that wait for a child. */
  readonly maxWaiting: number;
  /** A child that has more in memory than this is killed. Seen where the system has `/proc`. */
  readonly maxMemoryBytes: number;
  readonly log: Logger;
  /** A child without work for so long ends and gives its memory back. */
  readonly idleMs?: number;
  /** After so many jobs a child is replaced. */
  readonly maxJobs?: number;
  /** What a job frees is kept for the next one: found faster than the system gives it anew, at a higher peak. Default: no. */
  readonly keepsMemory?: boolean;
  /** Where large bytes lie on their way to a child and back, `/dev/shm` unless said; else they go through the channel. */
  readonly exchangeDirectory?: string;
}

const MEMORY_LOOK_MS = 100;
/** After so much work a child is replaced, well before the system ends it. */
const BUSY_MS = 60_000;
/** What the system grants a child, so that one whose parent was killed while its parser loops ends by itself. */
const CPU_SECONDS = 240;

/** What Bun's allocator, and the one of the system that native parsers use, give back late or never. */
const KEEPING = {
  MIMALLOC_PURGE_DELAY: '-1',
  MALLOC_TRIM_THRESHOLD_: String(64 * 1024 * 1024),
  MALLOC_MMAP_THRESHOLD_: String(32 * 1024 * 1024),
};

interface Waiting<Job, Result> {
  readonly job: Job;
  readonly options: ChildJobOptions;
  readonly settled: PromiseWithResolvers<ChildOutcome<Result>>;
  unlisten: () => void;
}

interface Child<Job, Result> {
  readonly process: Bun.Subprocess;
  readonly isReady: PromiseWithResolvers<boolean>;
  /** What large bytes go through. */
  readonly file: ExchangeFile | null;
  running: (Waiting<Job, Result> & { readonly startedAt: number; deadline: Timer | null }) | null;
  fate: Exclude<ChildOutcome<never>['status'], 'done'>;
  /** It was killed, and what still comes from it counts no more. */
  isEnding: boolean;
  jobs: number;
  busyMs: number;
  idle: Timer | null;
}

/** Children as Bun processes; jobs and results go by structured clone over their channel, large bytes in them through a file. */
export function bunChildPool<Job, Result>(options: ChildPoolOptions): ChildPool<Job, Result> {
  const { name, entry, size, maxWaiting, maxMemoryBytes, log, idleMs = 60_000, maxJobs = 2_000 } = options;
  const children = new Set<Child<Job, Result>>();
  const queue: Waiting<Job, Result>[] = [];
  let memoryLook: Timer | null = null;
  let isStopped = false;

  const spawn = (): Child<Job, Result> => {
    const file = createExchangeFile(options.exchangeDirectory);
    const spawned = Bun.spawn(['/bin/sh', '-c', `ulimit -t ${CPU_SECONDS}; exec "$0" "$1"`, process.execPath, entry], {
      // Nothing of our environment: it holds secrets, and what the child reads comes from strangers.
      env: { PATH: '/usr/bin:/bin', ...(options.keepsMemory ? KEEPING : {}) },
      // The file is the one after standard error: `EXCHANGE_FD`.
      stdio: ['ignore', 'ignore', 'ignore', ...(file ? [file.fd] : [])],
      serialization: 'advanced',
      ipc: (answer: JobAnswer<Result>) => void onAnswer(child, answer),
      onExit: (_, code, signal) => onExit(child, code, signal),
    });
    const child: Child<Job, Result> = {
      process: spawned,
      isReady: Promise.withResolvers(),
      file,
      running: null,
      fate: 'crashed',
      isEnding: false,
      jobs: 0,
      busyMs: 0,
      idle: null,
    };
    children.add(child);
    return child;
  };

  const give = async (child: Child<Job, Result>, waiting: Waiting<Job, Result>): Promise<void> => {
    if (child.idle) clearTimeout(child.idle);
    const running = { ...waiting, startedAt: performance.now(), deadline: null as Timer | null };
    child.running = running;
    if (!(await child.isReady.promise) || child.running !== running) return;
    const { message, blocks } = (await child.file?.put(waiting.job)) ?? { message: waiting.job, blocks: null };
    if (child.running !== running || child.isEnding) return;
    running.deadline = setTimeout(() => end(child, 'late'), waiting.options.deadlineMs);
    memoryLook ??= setInterval(lookAtMemory, MEMORY_LOOK_MS);
    child.process.send({ job: message, blocks } satisfies JobMessage<Job>);
  };

  const end = (child: Child<Job, Result>, fate: Child<Job, Result>['fate']): void => {
    if (child.isEnding) return;
    child.fate = fate;
    child.isEnding = true;
    child.process.kill('SIGKILL');
  };

  const onAnswer = async (child: Child<Job, Result>, answer: JobAnswer<Result>): Promise<void> => {
    if ('ready' in answer) {
      child.isReady.resolve(true);
      return;
    }
    if (child.isEnding) return;
    if (child.running?.deadline) clearTimeout(child.running.deadline);
    if ('error' in answer) {
      release(child)?.reject(Object.assign(new Error(answer.error.message), { stack: answer.error.stack }));
    } else {
      let { result } = answer;
      try {
        if (child.file) result = await child.file.take(result, answer.blocks);
      } catch {
        end(child, 'crashed');
      }
      if (child.isEnding) return;
      release(child)?.resolve({ status: 'done', result });
    }
    if (isWorn(child)) {
      children.delete(child);
      child.process.kill('SIGTERM');
      goOn();
    } else {
      rest(child);
    }
  };

  const onExit = (child: Child<Job, Result>, code: number | null, signal: unknown): void => {
    if (child.idle) clearTimeout(child.idle);
    child.file?.close();
    children.delete(child);
    const settled = release(child);
    if (!isStopped && Bun.peek.status(child.isReady.promise) === 'pending') {
      log.error({ pool: name, code, signal }, 'a child process could not start');
    } else if (!isStopped && settled) {
      log.warn({ pool: name, fate: child.fate, code, signal }, 'a child process was lost to its job');
    }
    child.isReady.resolve(false);
    settled?.resolve({ status: child.fate });
    goOn();
  };

  /** The child's job is over, one way or the other. */
  const release = (child: Child<Job, Result>): PromiseWithResolvers<ChildOutcome<Result>> | null => {
    const { running } = child;
    if (!running) return null;
    child.running = null;
    child.jobs++;
    child.busyMs += performance.now() - running.startedAt;
    if (running.deadline) clearTimeout(running.deadline);
    running.unlisten();
    if (memoryLook && ![...children].some((each) => each.running)) {
      clearInterval(memoryLook);
      memoryLook = null;
    }
    return running.settled;
  };

  const isWorn = (child: Child<Job, Result>): boolean =>
    child.jobs >= maxJobs || child.busyMs >= BUSY_MS || (residentBytes(child.process.pid) ?? 0) > maxMemoryBytes / 2;

  const rest = (child: Child<Job, Result>): void => {
    const next = queue.shift();
    if (next) {
      void give(child, next);
      return;
    }
    child.idle = setTimeout(() => {
      children.delete(child);
      child.process.kill('SIGTERM');
    }, idleMs);
    child.idle.unref();
  };

  /** A place is free: the next job gets a new child. */
  const goOn = (): void => {
    if (isStopped || children.size >= size) return;
    const next = queue.shift();
    if (next) void give(spawn(), next);
  };

  const lookAtMemory = (): void => {
    for (const child of children) {
      if (child.running && (residentBytes(child.process.pid) ?? 0) > maxMemoryBytes) end(child, 'too-much-memory');
    }
  };

  /** The one who asked is gone. */
  const onAbort = (waiting: Waiting<Job, Result>): void => {
    waiting.settled.reject(waiting.options.signal?.reason);
    const place = queue.indexOf(waiting);
    if (place >= 0) queue.splice(place, 1);
    for (const child of children) if (child.running?.settled === waiting.settled) end(child, 'late');
  };

  return {
    async run(job, jobOptions) {
      const { signal } = jobOptions;
      signal?.throwIfAborted();
      const free = [...children].find(({ running }) => !running);
      const mustWait = !free && children.size >= size;
      if (isStopped) throw serverProblems.create('draining');
      if (mustWait && queue.length >= maxWaiting) {
        throw serverProblems.create('busy', { retryAfterSeconds: 1 });
      }
      const waiting: Waiting<Job, Result> = {
        job,
        options: jobOptions,
        settled: Promise.withResolvers(),
        unlisten: () => undefined,
      };
      if (signal) {
        const listener = () => onAbort(waiting);
        signal.addEventListener('abort', listener, { once: true });
        waiting.unlisten = () => signal.removeEventListener('abort', listener);
      }
      if (mustWait) queue.push(waiting);
      else void give(free ?? spawn(), waiting);
      return waiting.settled.promise;
    },
    get load() {
      return { running: [...children].filter(({ running }) => running).length, waiting: queue.length };
    },
    async stop() {
      isStopped = true;
      const ending = [...children];
      for (const { settled, unlisten } of [...queue.splice(0), ...ending.flatMap(({ running }) => running ?? [])]) {
        unlisten();
        settled.reject(serverProblems.create('draining'));
      }
      for (const child of ending) child.process.kill('SIGKILL');
      await Promise.all(ending.map(({ process }) => process.exited));
    },
  };
}
