import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountRow, FileRow } from '../../ports/database-images.ts';

/** What a user's backup says of its files; kept sealed. Times are ISO 8601, UTC. */
export interface UserIndex {
  readonly account: { readonly id: string; readonly email: string; readonly name: string; readonly createdAt: string };
  readonly files: readonly IndexedFile[];
}

export interface IndexedFile {
  readonly id: string;
  /** What its owner calls it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Media type. */
  readonly type: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly visibility: 'private' | 'public';
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Rows of one user's files, put aside in a file. */
export interface SpooledIndex {
  readonly count: number;
  /** Of the files. */
  readonly bytes: number;
  /** The rows as they came; any number of times. */
  rows(): AsyncGenerator<FileRow>;
  /** The text of the {@link UserIndex}. */
  document(): AsyncGenerator<Uint8Array>;
}

/** How much text is written at a time. */
const CHUNK_LENGTH = 64 * 1024;

/** Reads all rows into a file of the directory, one a line. */
export async function spoolUserIndex(
  account: AccountRow,
  files: AsyncIterable<FileRow>,
  directory: string,
): Promise<SpooledIndex> {
  const path = join(directory, 'files');
  let count = 0;
  let bytes = 0;
  const handle = await open(path, 'w', 0o600);
  try {
    let text = '';
    for await (const row of files) {
      count++;
      bytes += row.size;
      text += `${JSON.stringify(row)}\n`;
      if (text.length < CHUNK_LENGTH) continue;
      await handle.write(text);
      text = '';
    }
    await handle.write(text);
  } finally {
    await handle.close();
  }

  async function* rows(): AsyncGenerator<FileRow> {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of createReadStream(path)) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) yield JSON.parse(line) as FileRow;
    }
  }
  async function* document(): AsyncGenerator<Uint8Array> {
    const { id, email, name } = account;
    const owner: UserIndex['account'] = { id, email, name, createdAt: isoTime(account.createdAt) };
    yield Buffer.from(`{"account":${JSON.stringify(owner)},"files":[`);
    let separator = '\n';
    for await (const row of rows()) {
      yield Buffer.from(`${separator}${JSON.stringify(toIndexed(row))}`);
      separator = ',\n';
    }
    yield Buffer.from('\n]}\n');
  }
  return { count, bytes, rows, document };
}

function toIndexed({ id, name, size, type, sha256, visibility, createdAt, updatedAt }: FileRow): IndexedFile {
  return { id, name, size, type, sha256, visibility, createdAt: isoTime(createdAt), updatedAt: isoTime(updatedAt) };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
