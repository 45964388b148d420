import type { Socket } from 'bun';
import type { PhpAnswer, PhpRequest } from '../ports/php-pool.ts';
import { createHeadReader } from './cgi-head.ts';
import { ConnectionLost, Exchange, type SilenceLimits, type Wire } from './fastcgi-exchange.ts';
import { ASK_VALUES, createRequestEncoder, END_OF_STDIN, encodeStdin, RecordDecoder } from './fastcgi-records.ts';

/** Where a FastCGI server listens. */
export type FastCgiAddress = { readonly unix: string } | { readonly hostname: string; readonly port: number };

/** Writes requests and reads heads, remembering what comes again; for all connections of a pool. */
export interface FastCgiCodec {
  readonly encode: ReturnType<typeof createRequestEncoder>;
  readonly readHead: ReturnType<typeof createHeadReader>;
}

export function createFastCgiCodec(): FastCgiCodec {
  return { encode: createRequestEncoder(), readHead: createHeadReader() };
}

/** The body was not of the size that was announced: the request cannot be finished, and neither can the connection. */
export class WrongBodySize extends Error {
  override readonly name = 'WrongBodySize';
}

export interface ConnectionEvents {
  /** The answer is whole and the connection may carry another request. */
  onIdle(connection: FastCgiConnection): void;
  /** Called once. @param mayStillRun we cut it while a request was under way: its script goes on until its next output. */
  onClosed(connection: FastCgiConnection, mayStillRun: boolean): void;
}

const NOBODY = { onStdout: () => undefined, onStderr: () => undefined, onEnd: () => undefined };

/** One connection to a FastCGI server: one request at a time, any number one after the other. */
export class FastCgiConnection implements Wire {
  /** On the clock of `performance.now()`. */
  idleSince = 0;
  /** Requests that were sent over it. */
  served = 0;
  readonly #events: ConnectionEvents;
  #socket: Socket<FastCgiConnection> | null = null;
  #exchange: Exchange | null = null;
  readonly #decoder = new RecordDecoder(NOBODY);
  /** What the socket did not take yet. */
  #unsent: Buffer | null = null;
  #onDrain: (() => void) | null = null;
  #isSending = false;
  #isClosed = false;

  private constructor(events: ConnectionEvents) {
    this.#events = events;
  }

  /** Connects. Rejects when nobody listens there, or not in time. */
  static async open(address: FastCgiAddress, events: ConnectionEvents, timeoutMs: number): Promise<FastCgiConnection> {
    const connection = new FastCgiConnection(events);
    const socket = { ...socketEvents, open: (opened: Socket<FastCgiConnection>) => connection.#attach(opened) };
    const connecting =
      'unix' in address
        ? Bun.connect({ unix: address.unix, socket, data: connection })
        : Bun.connect({ hostname: address.hostname, port: address.port, socket, data: connection });
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new ConnectionLost('no connection in time', true)), timeoutMs);
      });
      await Promise.race([connecting, late]);
    } catch (error) {
      connection.#isClosed = true;
      connecting.then((socket) => socket.terminate()).catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    // The other side may have closed before the promise was served.
    if (connection.#isClosed) throw new ConnectionLost('the connection closed at once', true);
    return connection;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Runs one request. The connection MUST be idle. */
  send(request: PhpRequest, { encode, readHead }: FastCgiCodec): Promise<PhpAnswer> {
    // May throw, and then the connection is as it was.
    const { body } = request;
    const hasBody = body !== null && body.size > 0;
    const { params, common = [] } = request;
    const opening = encode({ params, common, keepAlive: true, hasBody });
    const exchange = new Exchange(request, this, readHead);
    this.#exchange = exchange;
    this.#decoder.sink = exchange;
    this.served++;
    if (!hasBody) {
      this.#writeOpening(opening);
      return exchange.answer;
    }
    const content = body.open();
    if (content instanceof Uint8Array) {
      if (content.length !== body.size) this.close(new WrongBodySize('the body is not as long as announced'));
      else this.#write(Buffer.concat([opening, encodeStdin(content), END_OF_STDIN]));
      return exchange.answer;
    }
    this.#writeOpening(opening);
    this.#isSending = true;
    this.#sendBody(content, body.size).catch((error: unknown) =>
      this.close(error instanceof Error ? error : new ConnectionLost('the body failed', false)),
    );
    return exchange.answer;
  }

  /** Asks whether anybody is there; resolves when something came back, or the other side hung up as php-fpm does after it. */
  probe(): Promise<void> {
    return new Promise((resolve) => {
      this.#onProbed = resolve;
      this.#write(ASK_VALUES);
    });
  }
  #onProbed: (() => void) | null = null;

  check(now: number, limits: SilenceLimits): void {
    this.#exchange?.check(now, limits);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Cuts it. What runs on it is told the reason. Idempotent. */
  close(reason: Error): void {
    this.#close(reason, this.#exchange !== null);
  }

  #close(reason: Error, mayStillRun: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#socket?.terminate();
    this.#onDrain?.();
    this.#onProbed?.();
    exchange?.fail(reason);
    this.#events.onClosed(this, mayStillRun);
  }

  #attach(socket: Socket<FastCgiConnection>): void {
    if (this.#isClosed) socket.terminate();
    this.#socket = socket;
  }

  /** For the socket's events. */
  receive(chunk: Buffer<ArrayBuffer>): void {
    const exchange = this.#exchange;
    if (!exchange) {
      if (this.#onProbed) this.#onProbed();
      else this.close(new ConnectionLost('something came that was not asked for', false));
      return;
    }
    try {
      this.#decoder.push(chunk);
      exchange.afterChunk();
    } catch (error) {
      this.close(error instanceof Error ? error : new ConnectionLost('unreadable', false));
      return;
    }
    if (!exchange.isOver) return;
    this.#exchange = null;
    // Half a body is still on its way, or more came than was announced: nothing that follows could be trusted.
    if (this.#isSending || this.#unsent || !this.#decoder.isBetweenRecords) {
      this.close(new ConnectionLost('the answer came before the request was sent', false));
      return;
    }
    this.idleSince = performance.now();
    this.#events.onIdle(this);
  }

  drained(): void {
    const unsent = this.#unsent;
    this.#unsent = null;
    if (unsent) this.#write(unsent);
    if (!this.#unsent) this.#onDrain?.();
  }

  ended(): void {
    this.#close(new ConnectionLost('php-fpm closed the connection', false), false);
  }

  #writeOpening(opening: Buffer): void {
    this.#write(opening);
    // The next opening is written over this one.
    if (this.#unsent) this.#unsent = Buffer.from(this.#unsent);
  }

  #write(bytes: Buffer): void {
    if (this.#unsent) {
      this.#unsent = Buffer.concat([this.#unsent, bytes]);
      return;
    }
    // May take all, a part, nothing, or say -1 when the socket is going away.
    const taken = Math.max(0, this.#socket?.write(bytes) ?? 0);
    if (taken < bytes.length) this.#unsent = bytes.subarray(taken);
  }

  async #sendBody(chunks: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    let sent = 0;
    for await (const chunk of chunks) {
      sent += chunk.length;
      if (sent > size) throw new WrongBodySize('the body is longer than announced');
      this.#write(encodeStdin(chunk));
      if (this.#unsent && !this.#isClosed) {
        await new Promise<void>((resolve) => {
          this.#onDrain = resolve;
        });
        this.#onDrain = null;
      }
      if (this.#isClosed) return;
      this.#exchange?.onSent();
    }
    if (sent < size) throw new WrongBodySize('the body is shorter than announced');
    this.#isSending = false;
    this.#write(END_OF_STDIN);
  }
}

/** Shared by all connections; each is its socket's data. */
const socketEvents = {
  data: (socket: Socket<FastCgiConnection>, chunk: Buffer<ArrayBuffer>) => socket.data.receive(chunk),
  drain: (socket: Socket<FastCgiConnection>) => socket.data.drained(),
  end: (socket: Socket<FastCgiConnection>) => socket.data.ended(),
  close: (socket: Socket<FastCgiConnection>) => socket.data.ended(),
  error: (socket: Socket<FastCgiConnection>) => socket.data.ended(),
};
