import { join } from 'node:path';
import { sharedRun } from '../kernel/shared-run.ts';
import type { Logger } from '../ports/logger.ts';
import type { SyncAnswer, SyncRequest } from '../workers/replica-sync.ts';

const ENTRY = join(import.meta.dirname, '../workers/replica-sync.ts');
/** The pause before the process is started again, first and at most, in milliseconds; it doubles while syncing does not work. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** How long the process may take to end when it is asked to. */
const END_MS = 500;

export interface ReplicaProcess {
  /**
   * Brings the file up to what the primary has at the moment of the call, or later. Calls that wait together share one run.
   * @returns the last frame that the file holds; null when the primary has none.
   * @throws Error when it did not work; the reason is for the log.
   */
  sync(): Promise<number | null>;
  /** Ends a run that shows no sign of life; the process starts anew. */
  abandon(): void;
  readonly pid: number | null;
  close(): Promise<void>;
}

export interface ReplicaProcessOptions {
  readonly name: string;
  readonly path: string;
  readonly url: string;
  readonly authToken: string;
  readonly log: Logger;
}

/** Keeps the syncing process alive and asks it one thing at a time. */
export function startReplicaProcess({ name, path, url, authToken, log }: ReplicaProcessOptions): ReplicaProcess {
  let child: Bun.Subprocess | null = null;
  let restart: Timer | null = null;
  let pauseMs = FIRST_PAUSE_MS;
  let isClosed = false;
  let number = 0;
  let pending: PromiseWithResolvers<number | null> | null = null;

  const settle = (error: Error | null, frame: number | null = null) => {
    const asked = pending;
    pending = null;
    if (error) asked?.reject(error);
    else asked?.resolve(frame);
  };

  const spawn = () => {
    restart = null;
    const spawned = Bun.spawn([process.execPath, ENTRY], {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', RUST_LOG: 'off' },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
      serialization: 'json',
      ipc(message: SyncAnswer) {
        if ('synced' in message && message.synced === number) {
          pauseMs = FIRST_PAUSE_MS;
          settle(null, message.frame);
        } else if ('failed' in message && message.failed === number) settle(new Error(message.reason));
      },
      onExit(_, code, signal) {
        if (child !== spawned) return;
        child = null;
        settle(new Error('the syncing process ended'));
        if (isClosed) return;
        log.warn(
          { database: name, code, signal, pauseMs },
          'the syncing process of a replica ended and is started again',
        );
        restart = setTimeout(spawn, pauseMs);
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      },
    });
    child = spawned;
    spawned.send({ open: { url, path, authToken } } satisfies SyncRequest);
  };

  const ask = async (): Promise<number | null> => {
    if (!child) throw new Error('the syncing process is not running');
    pending = Promise.withResolvers();
    child.send({ sync: ++number } satisfies SyncRequest);
    return pending.promise;
  };

  spawn();
  return {
    // A run under way may have asked the primary before the caller's commit: who comes then waits for the next one.
    sync: sharedRun(ask),
    abandon: () => child?.kill('SIGKILL'),
    get pid() {
      return child?.pid ?? null;
    },
    async close() {
      isClosed = true;
      if (restart) clearTimeout(restart);
      const ending = child;
      if (!ending) return;
      ending.disconnect();
      const timer = setTimeout(() => ending.kill('SIGKILL'), END_MS);
      await ending.exited;
      clearTimeout(timer);
    },
  };
}
