import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomToken } from '../kernel/ids.ts';
import { phpProblems } from '../kernel/problems.ts';
import type { Logger } from '../ports/logger.ts';
import type { PhpObserver, PhpPool } from '../ports/php-pool.ts';
import { createFastCgiPool, type FastCgiPoolLimits } from './fastcgi-pool.ts';
import { findBarrier } from './php-fpm-access.ts';
import type { PhpFpmConfig } from './php-fpm-config.ts';
import { reapOrphans } from './php-fpm-orphans.ts';
import { choosePhpOwner } from './php-fpm-owner.ts';
import { type PhpFpmProcess, RELOAD_MS, startPhpFpm } from './php-fpm-process.ts';
import { followSlowlog } from './php-fpm-slowlog.ts';
import { pingPhpFpm, readPhpFpmStatus } from './php-fpm-status.ts';

export interface SpawnedPhpPoolOptions {
  readonly binary: string;
  /** Its owner is whom scripts run as, when we are root. */
  readonly documentRoot: string;
  /** Sockets, logs and notes are kept below it. */
  readonly dataDir: string;
  readonly children: number;
  readonly maxBodyBytes: number;
  readonly log: Logger;
  readonly observer: PhpObserver;
  readonly limits?: Partial<FastCgiPoolLimits>;
}

/** Longest path of a socket on Linux, without its end (unix(7)). */
const MAX_SOCKET_PATH = 107;
const LOOK_MS = 5_000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
/** After so long a new end is no sign that it cannot run at all. */
const STEADY_MS = 30_000;
/** Scripts that run for longer at a reload may have been killed by it. */
const RELOAD_GRACE_MS = 5_000;
/** How long a reload waits for requests that are just being taken. */
const SETTLE_MS = 1_000;
const POLL_MS = 10;
/** php-fpm says that a child was killed within this of the end of its connections. */
const DEATH_NOTICE_MS = 100;

/**
 * A php-fpm of our own: started with a configuration that we write, watched, started again with growing pauses when it ends, and
 * ended with us.
 */
export function spawnedPhpPool(options: SpawnedPhpPoolOptions): PhpPool {
  const { log, observer } = options;
  const notesDir = join(options.dataDir, 'php-fpm');
  let state: 'idle' | 'starting' | 'up' | 'failed' | 'stopped' = 'idle';
  let phpFpm: PhpFpmProcess | null = null;
  let config: PhpFpmConfig | null = null;
  let barrier: ReturnType<typeof findBarrier> = null;
  let isReloading = false;
  let lastDeathAt = Number.NEGATIVE_INFINITY;
  let backoffMs = FIRST_BACKOFF_MS;
  let lookTimer: ReturnType<typeof setInterval> | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> = Promise.resolve();
  let onReloaded: (() => void) | null = null;

  const runDir = chooseRunDir(notesDir);
  const [socket, statusSocket] = [join(runDir, 'fpm.sock'), join(runDir, 'status.sock')];
  const pool = createFastCgiPool({
    address: { unix: socket },
    size: options.children,
    ...(options.limits ? { limits: options.limits } : {}),
    observer,
    // A child that reloads finishes a script it has begun, unless that takes longer than it is given; then it is killed, which is told.
    async mayRepeatUnsafe(ageMs) {
      await sleep(DEATH_NOTICE_MS);
      const isYoung = !isReloading || ageMs < RELOAD_GRACE_MS;
      return state === 'up' && isYoung && performance.now() - lastDeathAt > 10 * DEATH_NOTICE_MS;
    },
  });
  pool.pause();

  const events = {
    onReloading() {
      isReloading = true;
      pool.pause();
    },
    onReady() {
      if (!isReloading) return;
      isReloading = false;
      pool.resume();
      onReloaded?.();
    },
    onChildKilled() {
      lastDeathAt = performance.now();
    },
  };

  async function run(): Promise<void> {
    if (state === 'stopped') return;
    const startedAt = performance.now();
    try {
      mkdirSync(runDir, { recursive: true, mode: 0o700 });
      if (state !== 'failed') state = 'starting';
      config = {
        runDir,
        socket,
        statusSocket,
        children: options.children,
        owner: choosePhpOwner(options.documentRoot),
        maxBodyBytes: options.maxBodyBytes,
      };
      barrier = config.owner && findBarrier(options.documentRoot, config.owner);
      if (barrier)
        log.error({ ...barrier, user: config.owner?.uid }, 'scripts cannot be read by the account that they run as');
      phpFpm = await startPhpFpm({ binary: options.binary, config, notesDir, log, events });
    } catch (error) {
      log.error({ err: error, binary: options.binary }, 'php-fpm does not start');
      state = isStopped() ? 'stopped' : 'failed';
      pool.refuse();
      again();
      return;
    }
    if (isStopped()) return phpFpm.stop();
    state = 'up';
    log.info({ pid: phpFpm.pid, children: options.children, user: config.owner?.uid }, 'php-fpm runs');
    pool.resume();
    void phpFpm.exited.then(() => {
      if (isStopped()) return;
      log.error({}, 'php-fpm has ended by itself; it is started again');
      pool.pause();
      isReloading = false;
      onReloaded?.();
      lastDeathAt = performance.now();
      if (performance.now() - startedAt > STEADY_MS) backoffMs = FIRST_BACKOFF_MS;
      state = 'starting';
      again();
    });
  }

  function isStopped(): boolean {
    return state === 'stopped';
  }

  function again(): void {
    if (isStopped()) return;
    retryTimer = setTimeout(() => {
      running = run();
    }, backoffMs);
    retryTimer.unref();
    backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
  }

  const start = () => {
    if (state !== 'idle') return;
    state = 'starting';
    reapOrphans(notesDir, log);
    running = run();
    const readSlowlog = followSlowlog(join(runDir, 'slow.log'));
    lookTimer = setInterval(async () => {
      for (const entry of await readSlowlog()) observer.onSlow(entry);
      const status = await readPhpFpmStatus({ unix: statusSocket });
      if (status) observer.onStatus(status);
    }, LOOK_MS);
    lookTimer.unref();
  };

  return {
    start,
    async send(request) {
      if (state === 'failed') throw phpProblems.create('unavailable', { retryAfterSeconds: 5 });
      if (state === 'idle') start();
      return pool.send(request);
    },
    get load() {
      return pool.load;
    },
    async ping() {
      if (state === 'idle') return { status: 'off', detail: 'not started: nothing has asked for PHP yet' };
      if (state === 'failed') return { status: 'down', detail: 'php-fpm does not start; the log says why' };
      if (await pingPhpFpm({ unix: statusSocket })) {
        return barrier
          ? { status: 'degraded', detail: 'scripts cannot be read by the account that they run as; doctor says more' }
          : { status: 'ok' };
      }
      return { status: 'down', detail: 'php-fpm does not answer' };
    },
    async reload() {
      if (state !== 'up' || !phpFpm) return;
      events.onReloading();
      // What was sent this moment may not have been read yet, and a child that is told to end reads nothing more.
      for (let waited = 0; pool.load.busy > 0 && waited < SETTLE_MS; waited += POLL_MS) await sleep(POLL_MS);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        onReloaded = resolve;
        timer = setTimeout(resolve, RELOAD_MS);
        phpFpm?.reload();
      });
      clearTimeout(timer);
      onReloaded = null;
      // It never came back: what restarts it notices its end.
      if (isReloading) await phpFpm.stop();
    },
    async stop() {
      if (isStopped()) return;
      state = 'stopped';
      clearInterval(lookTimer);
      clearTimeout(retryTimer);
      pool.close();
      await running;
      await phpFpm?.stop();
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A folder of ours alone, not there yet; elsewhere when its path would be too long for a socket. */
function chooseRunDir(notesDir: string): string {
  const wanted = join(notesDir, `run-${process.pid}-${randomToken(6)}`);
  return join(wanted, 'status.sock').length > MAX_SOCKET_PATH
    ? join(tmpdir(), `bunkhouse-php-${randomToken(12)}`)
    : wanted;
}
