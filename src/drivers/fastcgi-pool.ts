import { phpProblems } from '../kernel/problems.ts';
import type { PhpAnswer, PhpLoad, PhpObserver, PhpRequest } from '../ports/php-pool.ts';
import {
  type ConnectionEvents,
  createFastCgiCodec,
  type FastCgiAddress,
  FastCgiConnection,
} from './fastcgi-connection.ts';
import { ConnectionLost, type SilenceLimits } from './fastcgi-exchange.ts';
import { createWaitingLine } from './fastcgi-queue.ts';
import { toPhpProblem } from './php-faults.ts';

export interface FastCgiPoolLimits extends SilenceLimits {
  readonly connectMs: number;
  /** How long a request waits for a free child. */
  readonly queueMs: number;
  /** Requests that may wait at once. */
  readonly maxQueued: number;
  /** An idle connection is closed after this, so that other clients of the same php-fpm get its child; 0 keeps it. */
  readonly idleConnectionMs: number;
}

export const FASTCGI_LIMITS: FastCgiPoolLimits = {
  connectMs: 3_000,
  queueMs: 5_000,
  firstByteMs: 60_000,
  idleMs: 60_000,
  maxQueued: 2_048,
  idleConnectionMs: 0,
};

export interface FastCgiPoolOptions {
  readonly address: FastCgiAddress;
  /** Connections at once. MUST be `pm.max_children` where nobody else uses the php-fpm: a kept connection pins one child. */
  readonly size: number;
  readonly limits?: Partial<FastCgiPoolLimits>;
  /**
   * Whether a request that is not safe may be sent again after a kept connection closed without a byte: only when it is known that the
   * child did not die while it ran the script.
   *
   * @param ageMs how long ago the request was sent.
   */
  readonly mayRepeatUnsafe: (ageMs: number) => Promise<boolean>;
  readonly observer: Pick<PhpObserver, 'onTurn' | 'onDial' | 'onRetry'>;
}

export interface FastCgiPool {
  send(request: PhpRequest): Promise<PhpAnswer>;
  readonly load: PhpLoad;
  /** Sends nothing until `resume`: requests wait. Idle connections are closed, running requests go on. */
  pause(): void;
  resume(): void;
  /** Refuses those who wait: there is nobody to wait for. */
  refuse(): void;
  /** Cuts everything; requests that wait are refused. */
  close(): void;
}

/** Deadlines are looked at this often, and only while there is something to look at. */
const CHECK_MS = 250;
/** How long to wait before trying to connect again. */
const REDIAL_MS = 50;
/**
 * A script may go on after its answer (`fastcgi_finish_request`): its connection is idle and its child is not. A connection that has
 * rested for so long is taken before one that has just finished.
 */
const REST_MS = 50;

/** Requests over kept connections to one FastCGI server, as many at once as it has children. */
export function createFastCgiPool(options: FastCgiPoolOptions): FastCgiPool {
  const { address, size, observer } = options;
  const limits = { ...FASTCGI_LIMITS, ...options.limits };
  const codec = createFastCgiCodec();
  const line = createWaitingLine();
  const connections = new Set<FastCgiConnection>();
  /** The one that became idle last is at the end. */
  const idle: FastCgiConnection[] = [];
  let dialing = 0;
  let lost = 0;
  let isPaused = false;
  let isClosed = false;
  let isReachable = true;
  let timer: ReturnType<typeof setInterval> | null = null;

  const events: ConnectionEvents = {
    onIdle: (connection) => release(connection),
    onClosed(connection, mayStillRun) {
      connections.delete(connection);
      const place = idle.indexOf(connection);
      if (place >= 0) idle.splice(place, 1);
      if (mayStillRun && !isClosed) void findChildAgain();
      dialForWaiters();
    },
  };

  /** Those that are there or on their way, and children that are busy for nobody. */
  const taken = () => connections.size + dialing + lost;

  function release(connection: FastCgiConnection): void {
    const isStale = connection.served > 0 && line.wantsFresh;
    if (isPaused || isClosed || isStale) connection.close(new ConnectionLost('no longer needed', true));
    else if (!line.serve(connection)) idle.push(connection);
  }

  function takeIdle(now: number): FastCgiConnection | null {
    if (isPaused) return null;
    const restedSince = now - REST_MS;
    for (let index = idle.length - 1; index >= 0; index--) {
      const connection = idle[index] as FastCgiConnection;
      if (connection.idleSince <= restedSince) {
        idle.splice(index, 1);
        return connection;
      }
    }
    return idle.shift() ?? null;
  }

  function dialForWaiters(): void {
    if (!isPaused && !isClosed && line.length > dialing && taken() < size) void dial();
  }

  async function dial(): Promise<void> {
    dialing++;
    observer.onDial();
    let connection: FastCgiConnection | null = null;
    try {
      connection = await FastCgiConnection.open(address, events, limits.connectMs);
    } catch {
      isReachable = false;
    }
    dialing--;
    if (connection) {
      isReachable = true;
      connections.add(connection);
      release(connection);
    } else setTimeout(dialForWaiters, REDIAL_MS).unref();
  }

  /**
   * A script whose connection was cut goes on until its next output. Its child counts as taken until php-fpm accepts and answers
   * another connection.
   */
  async function findChildAgain(): Promise<void> {
    lost++;
    try {
      const probe = await FastCgiConnection.open(
        address,
        { onIdle: () => undefined, onClosed: () => undefined },
        limits.connectMs,
      );
      await probe.probe();
      probe.close(new ConnectionLost('no longer needed', true));
    } catch {
      // Nobody listens: then no child is busy either.
    }
    lost--;
    dialForWaiters();
  }

  async function obtain(request: PhpRequest, isAgain: boolean): Promise<FastCgiConnection> {
    if (isClosed) throw phpProblems.create('unavailable');
    if (line.length >= limits.maxQueued) throw phpProblems.create('busy', { retryAfterSeconds: 1 });
    const turn = isAgain ? line.joinAgain(request) : line.join(request);
    // What rests holds the child that the new connection needs.
    if (isAgain && taken() >= size) idle[0]?.close(new ConnectionLost('no longer needed', true));
    dialForWaiters();
    watch();
    return turn;
  }

  function watch(): void {
    if (timer) return;
    timer = setInterval(check, CHECK_MS);
    timer.unref();
  }

  function check(): void {
    const now = performance.now();
    for (const connection of connections) connection.check(now, limits);
    if (limits.idleConnectionMs > 0) {
      for (const connection of idle.filter(({ idleSince }) => now - idleSince > limits.idleConnectionMs)) {
        connection.close(new ConnectionLost('idle for too long', true));
      }
    }
    // While children are being replaced, those who wait are given the time that running scripts are given.
    const patience = (isReachable ? limits.queueMs : limits.connectMs) + (isPaused ? PAUSE_MS : 0);
    const reason = isReachable && !isPaused ? 'busy' : 'unavailable';
    line.expire(now, patience, () => phpProblems.create(reason, { retryAfterSeconds: 1 }));
    const isQuiet = connections.size === idle.length && line.length === 0;
    if (timer && isQuiet && (limits.idleConnectionMs === 0 || idle.length === 0)) {
      clearInterval(timer);
      timer = null;
    }
  }

  return {
    async send(request) {
      const since = performance.now();
      let sentAt = since;
      for (let attempt = 0; ; attempt++) {
        // A newcomer never passes those who wait.
        const isNext = attempt === 0 && line.length === 0;
        let connection = isNext ? takeIdle(since) : null;
        if (!connection) {
          connection = await obtain(request, attempt > 0).catch(toPhpProblem);
          sentAt = performance.now();
        }
        if (attempt === 0) observer.onTurn(sentAt - since);
        const wasUsed = connection.served > 0;
        watch();
        try {
          return await connection.send(request, codec);
        } catch (error) {
          if (!connection.isClosed) release(connection);
          const isStale = error instanceof ConnectionLost && error.isBeforeFirstByte && wasUsed;
          if (!isStale || attempt > 0 || isClosed) return toPhpProblem(error);
          const ageMs = performance.now() - sentAt;
          if (!request.isSafe && !(await options.mayRepeatUnsafe(ageMs))) return toPhpProblem(error);
          observer.onRetry();
        }
      }
    },
    get load() {
      return { size, busy: connections.size - idle.length, idle: idle.length, queued: line.length, lost };
    },
    pause() {
      isPaused = true;
      for (const connection of [...idle]) connection.close(new ConnectionLost('no longer needed', true));
    },
    resume() {
      isPaused = false;
      for (let missing = Math.min(line.length, size - taken()); missing > 0; missing--) void dial();
    },
    refuse: () => line.dismiss(() => phpProblems.create('unavailable', { retryAfterSeconds: 1 })),
    close() {
      isClosed = true;
      if (timer) clearInterval(timer);
      line.dismiss(() => phpProblems.create('unavailable'));
      for (const connection of [...connections]) connection.close(new ConnectionLost('the server stops', false));
    },
  };
}

/** How much longer a request may wait while php-fpm reloads. */
const PAUSE_MS = 10_000;
