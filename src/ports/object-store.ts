import type { DirectAccess } from './direct-access.ts';

/**
 * Where bytes live. Keys are made by us (`files/0198…/a1b2…`): segments of `[A-Za-z0-9._-]`, joined by `/`, never a
 * name a user chose.
 */
export interface ObjectStore {
  /**
   * Stores a stream under a key that does not exist yet. When it resolves the bytes are durable (they survive power
   * loss as far as the medium can promise) and readable; when it rejects nothing is left under the key. Memory stays
   * bounded at any size. Throws `storage/too-large` past `maxBytes`, `storage/full` when the medium is, the stream's
   * own error when the source fails.
   *
   * The object counts as unsettled until {@link settle}: the caller first writes down that it exists.
   */
  put(key: string, body: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<StoredObject>;
  /**
   * As a deferred {@link put} of what `fill` writes to a file that does not exist yet; absent where objects are no files of this
   * machine. What `fill` throws is thrown.
   */
  putFile?(key: string, fill: (path: string) => Promise<void>): Promise<void>;
  /**
   * Bytes of an object, `null` when there is none, without a turn of the event loop: for a process that serves nobody. Absent where
   * objects are no files of this machine. Throws `storage/*`.
   */
  sizeNow?(key: string): number | null;
  /** Makes durable whatever was put so far; absent where every put is. */
  flush?(): Promise<void>;
  /** The caller's record of the object is safe. Idempotent. */
  settle(key: string): Promise<void>;
  /**
   * Objects that were put and never settled by a process that no longer lives, oldest first. The caller decides by its
   * records whether to settle or to delete each. Leftovers of unfinished puts are removed along the way.
   */
  unsettled(): AsyncIterable<string>;
  /** The object's bytes, or those of an inclusive range inside it; `null` when there is no such object. */
  get(key: string, range?: ByteRange): Promise<ObjectBody | null>;
  /**
   * Reads a whole object into memory that the caller uses again and again, which is far cheaper for thousands of small ones; absent
   * where it would be no cheaper. It may hold the event loop until the object is open, so it is not for a process that serves others.
   * @returns its size, of which the memory got what fits; `null` when there is no such object. Throws what the medium does.
   */
  read?(key: string, memory: Uint8Array): Promise<number | null>;
  /** Deletes the object. Idempotent: a missing one is no error. */
  delete(key: string): Promise<void>;
  /** Keys that start with the prefix, in no particular order. */
  list(prefix: string): AsyncIterable<string>;
  /** Rejects when the store cannot be written to right now. */
  check(): Promise<void>;
  /** Bytes that one object can have at most, whichever way it comes; absent when only the medium's room bounds it. */
  readonly maxObjectBytes?: number;
  /** Where clients may be sent to the store itself; not every medium can. */
  readonly direct?: DirectAccess;
}

export interface PutOptions {
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
  /** The chunks are the store's: nobody else looks at their memory again, so it may free it when it has used them. */
  readonly isDisposable?: boolean;
  /** It may become durable as late as the next {@link ObjectStore.flush}, which is far cheaper for many objects. */
  readonly isDeferred?: boolean;
}

export interface StoredObject {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** First and last byte, both included, as in RFC 9110 §14.1.2. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

export interface ObjectBody {
  /** Size of the whole object, in bytes. */
  readonly size: number;
  /** A Blob where the runtime can send one without reading it into memory, else a stream. */
  readonly body: Blob | ReadableStream<Uint8Array>;
}
