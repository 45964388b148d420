import type { HealthStatus } from '../kernel/checks.ts';

/**
 * Something that runs PHP scripts: a php-fpm that was spawned, or one that is there already. Texts of a request and of an answer's
 * head are byte strings: each character is one byte, as it stands on the wire.
 */
export interface PhpPool {
  /**
   * Runs one script. Waits its turn when every child is busy, first come first served.
   * @throws `php/busy` when no child became free in time, `php/unavailable` when none can be reached, `php/timeout` when the script
   *   stayed silent, `php/bad-answer` when the child died or spoke nonsense, `php/too-many-headers` when the parameters are larger
   *   than php-fpm takes.
   */
  send(request: PhpRequest): Promise<PhpAnswer>;
  readonly load: PhpLoad;
  /** Asks php-fpm whether it lives, without taking a child from anybody where that is possible. Never rejects. */
  ping(): Promise<HealthStatus>;
  /** Brings the pool up; resolves at once, requests wait for it. Idempotent. */
  start(): void;
  /** Takes up changed configuration and code without losing a request. Resolves when new children answer. */
  reload(): Promise<void>;
  /** Ends what was started. Requests that run are cut after a short while. Idempotent. */
  stop(): Promise<void>;
}

/** CGI meta-variables (RFC 3875 §4.1), in any order. */
export type PhpParams = readonly (readonly [name: string, value: string])[];

export interface PhpRequest {
  readonly params: PhpParams;
  /** More of them, in lists that come with other requests, too. Such a list MUST NOT change: it may be put into bytes once. */
  readonly common?: readonly PhpParams[];
  readonly body: PhpBody | null;
  /** Running the script twice does no harm that the client did not ask for (RFC 9110 §9.2.1). */
  readonly isSafe: boolean;
  /** Whether the client has gone away; asked a few times a second. */
  readonly isGone: () => boolean;
  /** Hears once what the script wrote to its error log, if anything. MUST NOT throw. */
  readonly onErrors: (text: string, status: number) => void;
}

/** A body whose size is known; the script waits for exactly so many bytes. */
export interface PhpBody {
  /** Bytes; the value of CONTENT_LENGTH. */
  readonly size: number;
  /** The bytes, or their chunks; called again when the request is repeated. */
  open(): Uint8Array | AsyncIterable<Uint8Array>;
}

export type PhpHeaders = readonly (readonly [name: string, value: string])[];

export interface PhpAnswer {
  readonly status: number;
  /**
   * Names in lower case, in the order of the script; a name may come more than once. The list may come with other answers, too; it
   * MUST NOT change, so that something may be made of it once.
   */
  readonly headers: PhpHeaders;
  /** The whole body when it came at once. Cancelling the stream stops the script at its next output. */
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
}

export interface PhpLoad {
  /** Children that this process may keep busy at once. */
  readonly size: number;
  readonly busy: number;
  /** Connections that wait for work. */
  readonly idle: number;
  /** Requests that wait for a child. */
  readonly queued: number;
  /** Children that still run a script whose client is gone or whose time was up. */
  readonly lost: number;
}

/** Hears what happens in a pool, for metrics. MUST NOT throw. */
export interface PhpObserver {
  /** A request got its child after so many milliseconds. */
  onTurn(waitedMs: number): void;
  onDial(): void;
  onRetry(): void;
  /** php-fpm's own counters, read from its status page. */
  onStatus(status: PhpFpmStatus): void;
  /** A script ran longer than php-fpm's slow log allows. */
  onSlow(entry: string): void;
}

/** What php-fpm counts itself (https://www.php.net/manual/en/fpm.status.php). */
export interface PhpFpmStatus {
  readonly listenQueue: number;
  readonly maxListenQueue: number;
  readonly activeProcesses: number;
  readonly maxChildrenReached: number;
  readonly slowRequests: number;
}
