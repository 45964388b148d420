/** Whole copies of databases as files: how they are made, and what is read from them. */
export interface DatabaseImages {
  /** The databases an image can be taken of, `main` first. */
  readonly names: readonly string[];
  /** Those in memory, which have none. */
  readonly withoutImage: readonly string[];
  /** About how large an image of each would be, in bytes, in the order of {@link names}; 0 where it cannot be told. */
  sizes(): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  /**
   * Writes a consistent copy of a live database to a file that does not exist yet; nobody who writes to the database waits. The
   * copy is a SQLite file as any tool opens it, except that one of an encrypted database is encrypted with the same key. When it
   * rejects no file is left. It asks for the room first: `database/full` when there is too little.
   * Throws `database/corrupt` when the database is damaged, `database/unavailable` when it cannot be reached, the signal's reason.
   */
  take(name: string, path: string, signal?: AbortSignal): Promise<void>;
  /**
   * Checks a whole image, read-only.
   * @param name the database it is of, which decides how it is opened.
   */
  inspect(path: string, name?: string, signal?: AbortSignal): Promise<ImageReport>;
  /** Files that an image of the main database names, ordered by hash and id; those of one owner if wanted. Memory stays bounded. */
  files(path: string, ownerId?: string): AsyncIterable<FileRow>;
  /** How many files an image of the main database names, and how many bytes they have together. */
  fileTotals(path: string): Promise<{ readonly count: number; readonly bytes: number }>;
  /** As {@link files} of the live main database, at one point in time. */
  liveFiles(ownerId: string): AsyncIterable<FileRow>;
  /** An account in an image of the main database, by id or address; `null` when there is none. */
  account(path: string, idOrEmail: string): Promise<AccountRow | null>;
  /** As {@link account} in the live main database. */
  liveAccount(idOrEmail: string): Promise<AccountRow | null>;
}

/** What an image holds. */
export interface ImageReport {
  /** What is wrong with it, for people; empty when it is sound. */
  readonly problems: readonly string[];
  /** Rows of each table. */
  readonly tables: Readonly<Record<string, number>>;
  /** Names of the migrations that were applied, the last one last; empty for a database that has none. */
  readonly migrations: readonly string[];
}

/** A row of `files`. */
export interface FileRow {
  readonly id: string;
  readonly ownerId: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Of the content, lower-case hex. */
  readonly sha256: string;
  readonly type: string;
  readonly visibility: 'private' | 'public';
  readonly objectKey: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a backup says of whose it is. */
export interface AccountRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly createdAt: number;
}
