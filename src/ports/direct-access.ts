/**
 * What a store offers that clients may reach by themselves, over URLs that we sign. Whoever has such a URL may do that one
 * thing until it expires, and nothing else; it cannot be withdrawn before.
 */
export interface DirectAccess {
  /** A URL that gives the object, with these headers. Whether the object exists is not asked. */
  downloadUrl(key: string, options: DownloadUrlOptions): Promise<string>;
  /** A request that puts the whole object: exactly so many bytes of that type, or the store refuses it. */
  uploadRequest(key: string, options: UploadRequestOptions): Promise<DirectRequest>;
  /** Opens an upload in parts. @returns its id in the store. */
  createParts(key: string, type: string): Promise<string>;
  /** A URL that puts one part, numbered from 1: exactly so many bytes. */
  partUrl(key: string, uploadId: string, part: PartUrlOptions): Promise<string>;
  /**
   * Makes one object of the parts 1 to `count`, whole or not at all; from then on its URLs do nothing. `false` when parts are
   * missing, or the upload is no longer there. Idempotent.
   */
  completeParts(key: string, uploadId: string, count: number): Promise<boolean>;
  /** Gives up an upload in parts and frees what was sent. Idempotent. */
  abortParts(key: string, uploadId: string): Promise<void>;
  /** Gives up the uploads in parts that were opened so long ago, for keys that start with the prefix. */
  sweepParts(prefix: string, olderThanMs: number): Promise<void>;
  /** Size of an object in bytes; `null` when there is none. */
  sizeOf(key: string): Promise<number | null>;
  /**
   * Makes an object of another of at most 5 GiB, inside the store. Like one that was put it is durable and unsettled. `null` when
   * there is no such source.
   */
  copy(from: string, to: string): Promise<{ readonly size: number } | null>;
}

export interface DownloadUrlOptions {
  readonly expiresInSeconds: number;
  readonly type: string;
  /** Value of `Content-Disposition` (RFC 6266). */
  readonly disposition: string;
  readonly cacheControl?: string;
}

export interface UploadRequestOptions {
  readonly expiresInSeconds: number;
  /** Bytes. */
  readonly size: number;
  readonly type: string;
}

export interface PartUrlOptions {
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  readonly expiresInSeconds: number;
}

/** A PUT that anybody may send. */
export interface DirectRequest {
  readonly url: string;
  /** To be sent exactly so; they are part of what was signed. */
  readonly headers: Readonly<Record<string, string>>;
}
