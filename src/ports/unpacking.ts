/** Threads that turn packed files into the contents that they hold. */
export interface Unpacking {
  /**
   * Writes the content of a file to one that does not exist yet; as many at once as are asked for. What was written when it fails is the
   * caller's to remove.
   * @returns what is wrong with the packed file, for people; `null` when the content is written and is what it should be.
   * @throws `storage/*` when it cannot be written.
   */
  unpack(file: PackedFile, to: string): Promise<string | null>;
  /** Ends the threads; what is under way fails. */
  close(): void;
}

/** A file of zstd frames (RFC 8878) small enough to be held in memory. Hashes are SHA-256, lower-case hex. */
export interface PackedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly storedBytes: number;
  readonly storedSha256: string;
}
