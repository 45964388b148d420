import type { PhpAnswer, PhpRequest } from '../ports/php-pool.ts';
import type { CgiHead, createHeadReader } from './cgi-head.ts';
import { createOutput, type Output } from './fastcgi-output.ts';
import { FastCgiFault, type RecordSink } from './fastcgi-records.ts';

/** Why a connection ended before the answer was whole. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  /** Not one byte of the answer had come. */
  readonly isBeforeFirstByte: boolean;

  constructor(message: string, isBeforeFirstByte: boolean) {
    super(message);
    this.isBeforeFirstByte = isBeforeFirstByte;
  }
}

/** The script stayed silent for too long. */
export class SilentScript extends Error {
  override readonly name = 'SilentScript';
}

/** Nobody waits for the answer any more. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

export interface SilenceLimits {
  /** From the last of the request to the first byte of its answer. */
  readonly firstByteMs: number;
  /** Between two pieces of output, and for a client that takes none. */
  readonly idleMs: number;
}

/** What an exchange may do to its connection. */
export interface Wire {
  pause(): void;
  resume(): void;
  /** The only way to stop a script. */
  close(reason: Error): void;
}

/** Kept of what a script writes to its error log. */
const MAX_ERROR_TEXT_BYTES = 16 * 1024;

/** One request and its answer on one connection. */
export class Exchange implements RecordSink {
  readonly request: PhpRequest;
  readonly answer: Promise<PhpAnswer>;
  readonly #wire: Wire;
  readonly #readCgiHead: ReturnType<typeof createHeadReader>;
  readonly #settled = Promise.withResolvers<PhpAnswer>();
  #head: CgiHead | null = null;
  #headBytes: Buffer | null = null;
  #output: Output | null = null;
  #pieces: Buffer<ArrayBuffer>[] = [];
  #errors: Buffer[] = [];
  #errorBytes = 0;
  #hasAnswer = false;
  #isOver = false;
  /** Nothing more will come of it: the answer was whole, or it failed. */
  #isDone = false;
  /** When something last moved, on the clock of `performance.now()`. */
  #movedAt = performance.now();
  /** Whether silence is what the script has in mind (server-sent events). */
  #maySleep = false;

  constructor(request: PhpRequest, wire: Wire, readHead: ReturnType<typeof createHeadReader>) {
    this.request = request;
    this.#wire = wire;
    this.#readCgiHead = readHead;
    this.answer = this.#settled.promise;
  }

  /** END_REQUEST has come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  onStdout(bytes: Buffer<ArrayBuffer>): void {
    this.#pieces.push(bytes);
  }

  onStderr(bytes: Buffer<ArrayBuffer>): void {
    this.#hasAnswer = true;
    if (this.#errorBytes >= MAX_ERROR_TEXT_BYTES) return;
    this.#errors.push(bytes);
    this.#errorBytes += bytes.length;
  }

  onEnd(protocolStatus: number): void {
    if (protocolStatus !== 0) throw new FastCgiFault(`the request was refused with ${protocolStatus}`);
    this.#isOver = true;
  }

  /** A chunk of the connection was decoded: hands on what it held. @throws CgiFault or FastCgiFault */
  afterChunk(): void {
    if (this.#pieces.length > 0) {
      this.#hasAnswer = true;
      const [first] = this.#pieces;
      const bytes = this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#movedAt = performance.now();
      if (this.#output) this.#output.push(bytes);
      else if (this.#head) this.#startStream(this.#head, bytes);
      else this.#readHead(bytes);
    }
    if (!this.#isOver) return;
    if (!this.#head) throw new FastCgiFault('the script ended without a head');
    this.#isDone = true;
    this.#output?.end();
    this.#reportErrors(this.#head.status);
  }

  /** A part of the body was taken: php-fpm is not silent, it has not even got all of the request. */
  onSent(): void {
    this.#movedAt = performance.now();
  }

  /** The connection is gone, or must go. */
  fail(reason: Error): void {
    if (this.#isDone) return;
    this.#isOver = true;
    this.#isDone = true;
    const lost = reason instanceof ConnectionLost ? new ConnectionLost(reason.message, !this.#hasAnswer) : reason;
    this.#output?.fail(lost);
    this.#settled.reject(lost);
    this.#reportErrors(this.#head?.status ?? 502);
  }

  /** Cuts what is silent for too long and what nobody waits for. */
  check(now: number, limits: SilenceLimits): void {
    if (this.#isOver) return;
    // Once the answer streams, the end of its stream says when the client goes.
    if (!this.#output && this.request.isGone()) {
      this.#wire.close(new ClientGone('the client went away'));
      return;
    }
    const silentMs = now - this.#movedAt;
    if (!this.#head) {
      if (silentMs > limits.firstByteMs) this.#wire.close(new SilentScript('no answer in time'));
    } else if (silentMs > limits.idleMs && (this.#output?.isFull || !this.#maySleep)) {
      this.#wire.close(new SilentScript(this.#output?.isFull ? 'the client takes nothing' : 'the script went silent'));
    }
  }

  #readHead(bytes: Buffer<ArrayBuffer>): void {
    const all = this.#headBytes ? Buffer.concat([this.#headBytes, bytes]) : bytes;
    const head = this.#readCgiHead(all);
    if (!head) {
      this.#headBytes = all;
      return;
    }
    this.#headBytes = null;
    this.#head = head;
    const { status, headers, bodyStart } = head;
    const rest = all.subarray(bodyStart);
    // Everything came at once: no stream is needed.
    if (this.#isOver) this.#settled.resolve({ status, headers, body: rest });
    else this.#startStream(head, rest);
  }

  #startStream({ status, headers }: CgiHead, bytes: Buffer<ArrayBuffer>): void {
    const output = createOutput({
      onFull: () => {
        if (!this.#isOver) this.#wire.pause();
      },
      onDrained: () => {
        this.#movedAt = performance.now();
        if (!this.#isOver) this.#wire.resume();
      },
      onCancel: () => {
        if (!this.#isOver) this.#wire.close(new ClientGone('the client went away'));
      },
    });
    this.#output = output;
    this.#maySleep = headers.some(
      ([name, value]) =>
        (name === 'x-accel-buffering' && value === 'no') ||
        (name === 'content-type' && value.startsWith('text/event-stream')),
    );
    if (bytes.length > 0) output.push(bytes);
    this.#settled.resolve({ status, headers, body: output.stream });
  }

  #reportErrors(status: number): void {
    if (this.#errors.length === 0) return;
    const text = Buffer.concat(this.#errors).toString('utf8').slice(0, MAX_ERROR_TEXT_BYTES);
    this.#errors = [];
    this.request.onErrors(text, status);
  }
}
