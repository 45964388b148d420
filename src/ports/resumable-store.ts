import type { StoredObject } from './object-store.ts';

/**
 * Objects that grow over many requests, processes and machines before they are published. How much of one is durable is what
 * the store says ({@link size}), never what somebody remembers.
 *
 * A handle names a growing object: it is made by the driver, at most 2 KiB, opaque, and kept by the caller's records. At most
 * one caller at a time works on a handle; callers see to that by a lock, and stop an append that lost it by its signal. Except
 * for {@link size} and {@link list}, a handle that does not exist fails with `storage/gone`.
 */
export interface ResumableStore {
  /** Starts an empty object that will be published under the key, which does not exist yet. @returns its handle. */
  create(key: string): Promise<string>;
  /**
   * Adds a stream at the end, in bounded memory. `offset` must be the durable size, else `storage/wrong-offset` is thrown and
   * nothing is read. When it resolves all bytes are durable; so are, when the body or the signal ends it early, those that had
   * arrived: then it rejects with the body's error or the signal's reason. A medium that is full (`storage/full`) keeps what
   * it took.
   * @returns the new durable size.
   */
  append(handle: string, offset: number, body: AsyncIterable<Uint8Array>, options?: AppendOptions): Promise<number>;
  /** Bytes that are durable by now and from which an append goes on; `null` when there is no such object. */
  size(handle: string): Promise<number | null>;
  /**
   * Makes a new object out of others, in their order. One that an interrupted call left half made is made again; the others
   * stay as they are. Rejects with the signal's reason when it is aborted first. @returns its size.
   */
  concat(
    handle: string,
    sources: readonly string[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<number>;
  /**
   * Publishes the object under its key, whole and at once; the result is that of `ObjectStore.put`. The SHA-256 is of the bytes
   * that are stored, whoever sent them. Nothing can be added any more. Until {@link settle} a repeated call, in this or another
   * process, gives the same result.
   */
  finish(handle: string): Promise<StoredObject>;
  /** The caller's record of the published object is safe: the handle ends and the object stays. Idempotent. */
  settle(handle: string): Promise<void>;
  /**
   * Removes the object, growing or published. Idempotent. MUST NOT be called once a record names the published object, which
   * calls for {@link settle}.
   */
  abort(handle: string): Promise<void>;
  /** Handles that were neither settled nor aborted, for sweeping those that no record names. */
  list(): AsyncIterable<GrowingObject>;
}

export interface AppendOptions {
  /** Ends the append; what had arrived is kept. */
  readonly signal?: AbortSignal;
  /** All or nothing: unless the body ends without an error, the durable size stays at `offset`, whatever crashes. */
  readonly isAtomic?: boolean;
  /** The chunks are nobody else's: their memory may be freed as soon as they are copied. */
  readonly isDisposable?: boolean;
}

export interface GrowingObject {
  readonly handle: string;
  /** Where it is or will be published. */
  readonly key: string;
  /** When bytes were last added, at the latest; milliseconds since the epoch. */
  readonly changedAt: number;
}
