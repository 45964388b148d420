import type { ByteRange } from './object-store.ts';

/**
 * Where a backup repository keeps its objects, under names that people can read: `snapshots/…`, `blobs/ab/…`. Keys are segments of
 * `[A-Za-z0-9._-]`, joined by `/`; a disk keeps each as the file of that path, so that a repository is usable with stock tools.
 * Any number of machines may use one repository.
 */
export interface RepositoryStore {
  /**
   * Stores a stream in bounded memory, or bytes, which nobody changes before it ends. When it resolves the object is durable and
   * readable; when it rejects, what was under the key is there as before, or, when the store never said what became of its last
   * request, the new object as a whole. An object that was there is replaced as a whole. Throws `storage/full`, `storage/unavailable`,
   * the stream's own error when the source fails, and the signal's reason.
   */
  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options?: RepositoryPutOptions): Promise<void>;
  /** Makes durable whatever was put so far; absent where every put is. */
  flush?(): Promise<void>;
  /** The object's bytes, or those of an inclusive range inside it; `null` when there is no such object. A cut body fails. */
  get(key: string, range?: ByteRange): Promise<ReadableStream<Uint8Array> | null>;
  /** As `read` of an object store: a whole object into memory that the caller uses again and again. */
  read?(key: string, memory: Uint8Array): Promise<number | null>;
  /** The file that has just the object's bytes, if there is one; absent where objects are no files of this machine. */
  fileOf?(key: string): string;
  /** `null` when there is no such object. */
  stat(key: string): Promise<RepositoryObject | null>;
  /** Objects whose keys start with the prefix, in no particular order. */
  list(prefix: string): AsyncIterable<RepositoryObject>;
  /** Deletes the object. Idempotent: a missing one is no error. */
  delete(key: string): Promise<void>;
  /** Rejects when the store cannot be written to right now. Leftovers of puts that died long ago are removed along the way. */
  check(): Promise<void>;
  /** Its address for people: `file:/path` or `s3://bucket/prefix`; no secrets. */
  readonly place: string;
}

export interface RepositoryPutOptions {
  readonly signal?: AbortSignal | undefined;
  /** It may become durable as late as the next {@link RepositoryStore.flush}, which is far cheaper for many objects. */
  readonly isDeferred?: boolean;
}

export interface RepositoryObject {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly modifiedAt: number;
}
