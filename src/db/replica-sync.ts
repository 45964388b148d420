import type { Logger } from '../ports/logger.ts';
import type { ReplicaFile } from './replica-file.ts';
import type { Handshake } from './replica-handshake.ts';
import type { ReplicaProcess } from './replica-process.ts';

/** How long a run may show no sign of life before its process is ended, in milliseconds. */
const HUNG_MS = 60_000;
/** How long after several intervals a file counts as not following. */
const LATE_MS = 2_000;

export interface ReplicaLag {
  /** Milliseconds since the moment whose state the replica surely holds; null before the first sync of this process. */
  readonly lagMs: number | null;
  /** Frames that the primary had at the last handshake and the replica does not; null when unknown. */
  readonly lagFrames: number | null;
}

/** Keeps a replica's file following its primary, and knows whether it holds what this process has written. */
export interface ReplicaSync {
  /** Whether the file holds every write of this process that has been confirmed to its caller. */
  readonly isCurrent: boolean;
  /** Whether the primary began a new log and the file is being made anew from it. */
  readonly isResyncing: boolean;
  /** Whether the last run did not work, or none has ended for a while. */
  readonly isFailing: boolean;
  /** After a commit: resolves when the file holds it, or when the time for that is up. Never rejects. */
  catchUp(): Promise<void>;
  /** Resolves when the file has been brought up to date once, or when the time is up. Never rejects. */
  first(timeoutMs: number): Promise<void>;
  onHandshake(handshake: Handshake): void;
  lag(): ReplicaLag;
  close(): Promise<void>;
}

export interface ReplicaSyncOptions {
  readonly name: string;
  readonly process: ReplicaProcess;
  readonly file: ReplicaFile;
  readonly log: Logger;
  readonly intervalMs: number;
  readonly catchUpMs: number;
  /** When bytes last passed between the syncing process and the primary, of `performance.now()`. */
  readonly lastActivityAt: () => number;
}

export function createReplicaSync(options: ReplicaSyncOptions): ReplicaSync {
  const { name, process, file, log, intervalMs, catchUpMs, lastActivityAt } = options;
  /** Writes are numbered: committed at the primary, confirmed to their callers, held by the file. */
  let committed = 0;
  let confirmed = 0;
  let held = 0;
  let logId: string | null = null;
  let isResyncing = false;
  let isFailing = false;
  let isClosed = false;
  let primaryFrame: number | null = null;
  let frame: number | null = null;
  let syncedAt: number | null = null;
  let timer: Timer | null = null;

  const run = async () => {
    const covers = committed;
    const startedAt = performance.now();
    const watchdog = setInterval(() => {
      if (performance.now() - Math.max(startedAt, lastActivityAt()) > HUNG_MS) process.abandon();
    }, HUNG_MS / 10);
    try {
      const reached = await process.sync();
      if (isClosed) return;
      if (isResyncing || !file.isOpen) await file.adopt();
      isResyncing = false;
      frame = reached;
      held = Math.max(held, covers);
      syncedAt = startedAt;
      if (isFailing) log.info({ database: name }, 'the replica follows its primary again');
      isFailing = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      if (!isFailing && !isClosed) log.warn({ database: name, reason }, 'the replica cannot follow its primary');
      isFailing = true;
      throw error;
    } finally {
      clearInterval(watchdog);
    }
  };

  const follow = async () => {
    await run().catch(() => undefined);
    if (!isClosed) timer = setTimeout(() => (following = follow()), intervalMs);
  };
  let following = follow();

  return {
    get isCurrent() {
      return confirmed <= held && !isResyncing;
    },
    get isResyncing() {
      return isResyncing;
    },
    get isFailing() {
      const isLate = syncedAt !== null && performance.now() - syncedAt > LATE_MS + 4 * intervalMs;
      return isFailing || (isLate && !isResyncing);
    },
    async catchUp() {
      const number = ++committed;
      // While the file is made anew, or the primary cannot be followed, waiting would be for nothing.
      if (!isFailing && !isResyncing) await within(catchUpMs, run());
      confirmed = Math.max(confirmed, number);
    },
    first: (timeoutMs) => within(timeoutMs, following),
    onHandshake(handshake) {
      primaryFrame = handshake.lastFrame;
      if (handshake.logId === logId) return;
      // The same pages may come to mean something else, so no connection that has read them before may go on.
      logId = handshake.logId;
      isResyncing = true;
      file.close();
    },
    lag: () => ({
      lagMs: syncedAt === null ? null : Math.round(performance.now() - syncedAt),
      lagFrames: primaryFrame === null || isResyncing ? null : Math.max(0, primaryFrame - (frame ?? 0)),
    }),
    async close() {
      isClosed = true;
      if (timer) clearTimeout(timer);
      await within(1_000, following);
    },
  };
}

/** Waits for the work or the time, whichever is first; what the work says does not matter. */
function within(ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    work.then(end, end);
  });
}
