import { createTarDecoder, createTarPacker } from 'modern-tar';
import { isUuid } from '../../kernel/ids.ts';
import { backupProblems } from './problems.ts';
import type { IndexedFile, UserIndex } from './user-index.ts';

/**
 * The portable archive of a user's backup: a tar (POSIX.1-2001 pax) that any tar program unpacks. First comes {@link INDEX}, then one
 * regular file for each file in the order of the index. Nothing else belongs in it.
 */
export interface ArchiveIndex {
  readonly format: 1;
  readonly kind: 'bunkhouse-user-backup';
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly account: Omit<UserIndex['account'], 'id'>;
  readonly files: readonly ArchivedFile[];
}

export interface ArchivedFile extends IndexedFile {
  /** Where it lies in the archive. */
  readonly path: string;
}

const INDEX = 'bunkhouse-backup.json';
/** A hundred thousand files and more. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/** Where a file lies in an archive: below its id, by a name that no system takes for anything else. */
export function archivePath(id: string, name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in there
  const plain = name.replace(/[/\\:*?"<>|\u0000-\u001f\u007f]/g, '_').replace(/^[.\s]+|[.\s]+$/g, '_');
  return `files/${id}/${[...plain].slice(0, 60).join('')}`;
}

/** @param open the content of a file, of just the size that the index gives. */
export function writeArchive(
  index: ArchiveIndex,
  open: (file: ArchivedFile) => AsyncIterable<Uint8Array>,
): ReadableStream<Uint8Array> {
  const head = new TextEncoder().encode(`${JSON.stringify(index, null, 2)}\n`);
  return packed(async function* () {
    const mtime = new Date(index.createdAt);
    yield { name: INDEX, size: head.length, mtime, body: [head] };
    for (const file of index.files) {
      yield { name: file.path, size: file.size, mtime: new Date(file.updatedAt), body: open(file) };
    }
  });
}

/** One regular file of a tar. */
export interface TarFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly mtime: Date;
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** A tar of regular files, made as it is read; a file that fails makes the stream fail. */
export function packed(files: () => AsyncIterable<TarFile>): ReadableStream<Uint8Array> {
  const { readable, controller } = createTarPacker();
  const pack = async () => {
    try {
      for await (const { body, ...header } of files()) {
        const writer = controller.add({ ...header, type: 'file', mode: 0o600 }).getWriter();
        for await (const chunk of body) await writer.write(chunk);
        await writer.close();
      }
      controller.finalize();
    } catch (error) {
      controller.error(error);
    }
  };
  void pack();
  return readable;
}

/**
 * Reads an archive that anybody may have made. `onFile` gets each file's body, which it reads to its end or not at all.
 * @throws `backups/refused-archive` for what is no such archive: other entries than its index names, links, paths that lead elsewhere,
 * sizes that do not agree, a missing end; what `onFile` throws.
 */
export async function readArchive(
  tar: ReadableStream<Uint8Array>,
  onIndex: (index: ArchiveIndex) => Promise<void> | void,
  onFile: (file: ArchivedFile, body: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<ArchiveIndex> {
  const entries = tar.pipeThrough(createTarDecoder({ strict: true })).getReader();
  try {
    const first = await next(entries);
    if (first?.header.name !== INDEX || first.header.type !== 'file')
      throw refused('It does not begin with its index.');
    const index = readIndex(await gather(first.body, first.header.size));
    await onIndex(index);
    for (const file of index.files) {
      const entry = await next(entries);
      if (!entry) throw refused('It ends before all of its files have come.');
      const { header, body } = entry;
      if (header.type !== 'file' || header.name !== file.path || header.size !== file.size) {
        throw refused('What is in it is not what its index says.');
      }
      await onFile(file, faultsNamed(body));
      // The decoder goes on when a body was read or given up.
      if (!body.locked) await body.cancel();
    }
    if (await next(entries)) throw refused('There is more in it than its index says.');
    return index;
  } catch (error) {
    await entries.cancel(error).catch(() => undefined);
    throw error;
  }
}

type Entry = ReturnType<typeof createTarDecoder>['readable'] extends ReadableStream<infer E> ? E : never;

async function next(entries: ReadableStreamDefaultReader<Entry>): Promise<Entry | null> {
  try {
    const { done, value } = await entries.read();
    return done ? null : value;
  } catch (error) {
    throw refused('It is no tar archive, or it is cut off.', error);
  }
}

async function* faultsNamed(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw refused('It is cut off.', error);
      });
      if (done) return;
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

async function gather(body: ReadableStream<Uint8Array>, size: number): Promise<Uint8Array> {
  if (size > MAX_INDEX_BYTES) throw refused('Its index is too large.');
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of faultsNamed(body)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function readIndex(bytes: Uint8Array): ArchiveIndex {
  let index: unknown;
  try {
    index = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw refused('Its index is not JSON.', error);
  }
  if (!isIndex(index)) throw refused('Its index is not one of format 1.');
  return index;
}

function isIndex(value: unknown): value is ArchiveIndex {
  if (!isRecord(value) || value['format'] !== 1 || value['kind'] !== 'bunkhouse-user-backup') return false;
  const { account, files, createdAt } = value;
  if (!isDate(createdAt) || !isRecord(account) || !Array.isArray(files)) return false;
  if (!isText(account['email']) || !isText(account['name']) || !isDate(account['createdAt'])) return false;
  // A path has the id in it, so paths differ when ids do.
  const ids = new Set<unknown>(files.map((file) => (isRecord(file) ? file['id'] : null)));
  return ids.size === files.length && files.every(isArchivedFile);
}

function isArchivedFile(file: unknown): boolean {
  if (!isRecord(file)) return false;
  const { path, id, name, size, type, sha256, visibility, createdAt, updatedAt } = file;
  return (
    isText(id) &&
    isUuid(id) &&
    isText(name) &&
    path === archivePath(id, name) &&
    Number.isSafeInteger(size) &&
    (size as number) >= 0 &&
    isText(type) &&
    isText(sha256) &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    (visibility === 'private' || visibility === 'public') &&
    isDate(createdAt) &&
    isDate(updatedAt)
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 4096;
}

function isDate(value: unknown): value is string {
  return isText(value) && !Number.isNaN(Date.parse(value));
}

function refused(why: string, cause?: unknown) {
  return backupProblems.create('refused-archive', { detail: `The archive was not taken. ${why}`, cause });
}
