import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DatabaseImages } from '../../ports/database-images.ts';
import type { RepositoryStore } from '../../ports/repository-store.ts';
import { atOnce } from './at-once.ts';
import type { ListLine } from './blob-list.ts';
import { bounded, type Check } from './check.ts';
import type { JobOptions } from './jobs.ts';
import { type DatabaseEntry, type Manifest, type ObjectEntry, objectsOf } from './manifest.ts';
import { backupProblems } from './problems.ts';
import { createProgress, type ProgressReporter } from './progress.ts';
import type { Repository } from './repository.ts';
import { SHARDS, shardReader } from './shards.ts';

/**
 * How much of a snapshot is looked at: that every object is there and has its size (`quick`); beside that a seventh of all objects is
 * read, by the day, so that a week reads all (`share`); everything is read, and databases are opened (`full`).
 */
export type VerifyLevel = 'quick' | 'share' | 'full';

export interface VerifyOptions {
  readonly repository: Repository;
  readonly store: RepositoryStore;
  readonly images: Pick<DatabaseImages, 'inspect'>;
  readonly clock: Clock;
  /** Where images are unpacked for a while. */
  readonly workDir: string;
  readonly level: VerifyLevel;
}

type Finding = Check['findings'][number];

const SHARE = 7;
const READS = 4;
/** Backups that a finding names. */
const NAMED = 5;

/**
 * Looks at a snapshot and notes the result in the repository. Everything is looked at, whatever is found on the way. Without the key of
 * an encrypted snapshot the stored bytes are compared, and nothing is decoded.
 * @throws storage/unavailable and the like when it could not be looked at: that says nothing about the snapshot.
 */
export async function verify(manifest: Manifest, options: VerifyOptions, on: JobOptions = {}): Promise<Check> {
  const { repository, clock, level, workDir } = options;
  const startedAt = clock.now();
  const lease = await repository.lease('shared', `verifying the backup ${manifest.id}`);
  const scratch = join(workDir, uuidv7());
  try {
    const signal = AbortSignal.any([lease.signal, ...(on.signal ? [on.signal] : [])]);
    const progress = createProgress(on.onProgress ?? (() => undefined));
    const found: Found[] = [];
    const run: Run = { ...options, manifest, signal, progress, scratch, note: (finding) => void found.push(finding) };
    progress.begin({ phase: 'verifying', from: 0, to: 1 }, bytesOf(manifest));
    await verifyObjects(run);
    await verifyBlobs(run);
    const check = bounded({
      id: uuidv7(clock.now()),
      snapshot: manifest.id,
      kind: level,
      startedAt: new Date(startedAt).toISOString(),
      tookMs: Math.max(0, clock.now() - startedAt),
      ok: found.length === 0,
      findings: await explain(found, run),
    });
    signal.throwIfAborted();
    await repository.writeCheck(check);
    return check;
  } finally {
    await rm(scratch, { recursive: true, force: true });
    await lease.release();
  }
}

/** What is wrong, before it is known whom it hurts. */
interface Found {
  readonly code: string;
  readonly key: string;
  readonly message: string;
}

interface Run extends VerifyOptions {
  readonly manifest: Manifest;
  readonly signal: AbortSignal;
  readonly progress: ProgressReporter;
  readonly scratch: string;
  note(found: Found): void;
}

async function verifyObjects(run: Run): Promise<void> {
  const { manifest, store, note } = run;
  const databases = new Map(manifest.databases.map((database) => [database.image.key, database]));
  for (const entry of objectsOf(manifest)) {
    run.signal.throwIfAborted();
    const stored = await store.stat(entry.key);
    if (!isThere(entry, stored?.bytes, note)) continue;
    const database = databases.get(entry.key);
    // The list is read in any case.
    if (entry.key !== manifest.blobs.list.key && isRead(entry, run)) {
      await (database && run.level === 'full' ? verifyImage(database, run) : verifyContent(entry, run));
    }
    run.progress.add(entry.bytes);
  }
}

/** Compares the list with what there is, shard by shard, so that no object is asked for by itself. */
async function verifyBlobs(run: Run): Promise<void> {
  const { repository, manifest, store, signal, note } = run;
  const lines = shardReader(repository.list(manifest));
  try {
    for (const shard of SHARDS) {
      signal.throwIfAborted();
      const wanted = await lines.take(shard);
      if (wanted.length === 0) continue;
      const stored = new Map<string, number>();
      for await (const { key, bytes } of store.list(shard)) stored.set(key, bytes);
      const look = async (line: ListLine) => {
        signal.throwIfAborted();
        if (isThere(line, stored.get(line.key), note) && isRead(line, run)) await verifyContent(line, run);
        run.progress.add(line.bytes);
      };
      await atOnce(wanted, READS, look);
    }
    // What is behind the last shard is read too, so that the sums are compared.
    await lines.take('');
  } catch (error) {
    noteDamage(manifest.blobs.list, error, note);
  } finally {
    await lines.end();
  }
}

function isThere(entry: ObjectEntry, storedBytes: number | undefined, note: Run['note']): boolean {
  const { key } = entry;
  if (storedBytes === undefined) note({ code: 'missing', key, message: 'It is missing.' });
  else if (storedBytes !== entry.storedBytes) {
    note({ code: 'wrong-size', key, message: `It has ${storedBytes} bytes instead of ${entry.storedBytes}.` });
  } else return true;
  return false;
}

function isRead({ sha256 }: ObjectEntry, { level, clock }: Run): boolean {
  if (level === 'quick') return false;
  if (level === 'full') return true;
  return Number.parseInt(sha256.slice(0, 8), 16) % SHARE === Math.floor(clock.now() / 86_400_000) % SHARE;
}

async function verifyContent(entry: ObjectEntry, { repository, manifest, signal, note }: Run): Promise<void> {
  try {
    if (!repository.canRead(manifest)) return await repository.verifyStored(entry);
    for await (const _ of repository.openObject(entry)) signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    noteDamage(entry, error, note);
  }
}

/** Unpacks an image, opens it and compares it with what the manifest says of it. */
async function verifyImage(database: DatabaseEntry, run: Run): Promise<void> {
  const { repository, manifest, scratch, images, signal, note } = run;
  const { image, name } = database;
  if (!repository.canRead(manifest)) return verifyContent(image, run);
  const path = join(scratch, `${name}.sqlite`);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    await pipeline(repository.openObject(image), createWriteStream(path, { mode: 0o600 }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    return noteDamage(image, error, note);
  }
  const report = await images.inspect(path, name, signal);
  for (const problem of report.problems) note({ code: 'database', key: image.key, message: `${name}: ${problem}.` });
  const tables = new Set([...Object.keys(report.tables), ...Object.keys(database.tables)]);
  for (const table of tables) {
    const [is, was] = [report.tables[table] ?? 0, database.tables[table] ?? 0];
    if (is === was) continue;
    note({ code: 'row-count', key: image.key, message: `${name}: ${table} has ${is} rows instead of ${was}.` });
  }
  if (report.migrations.at(-1) !== database.migrations.at(-1)) {
    note({ code: 'migrations', key: image.key, message: `${name} has other migrations than the manifest says.` });
  }
  await rm(path);
}

/** Damage is noted; whatever else went wrong says nothing about the snapshot and is thrown. */
function noteDamage({ key }: ObjectEntry, error: unknown, note: Run['note']): void {
  // Whoever has the key and cannot decrypt has before him what is damaged at its beginning.
  if (!backupProblems.is(error, 'damaged') && !backupProblems.is(error, 'wrong-key')) throw error;
  note({ code: 'damaged', key, message: error.detail });
}

/** Says of each finding which other snapshots it hurts, and what to do. */
async function explain(found: readonly Found[], { repository, manifest }: Run): Promise<Finding[]> {
  if (found.length === 0) return [];
  const keys = new Set(found.map(({ key }) => key));
  const hurt = new Map<string, { readonly ids: string[]; more: number }>();
  const { manifests } = await repository.snapshots();
  for (const other of manifests) {
    const own = objectsOf(other).map(({ key }) => key);
    for (const key of [...own, ...(await listedKeys(repository, other, keys))]) {
      if (!keys.has(key)) continue;
      const known = hurt.get(key) ?? { ids: [], more: 0 };
      hurt.set(key, known);
      if (known.ids.length < NAMED) known.ids.push(other.id);
      else known.more++;
    }
  }
  return found.map(({ code, key, message }) => {
    const { ids, more } = hurt.get(key) ?? { ids: [manifest.id], more: 0 };
    const whom = `${ids.length === 1 ? 'the backup' : 'the backups'} ${ids.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
    return { code, key, message: `${message} It hurts ${whom}. ${ADVICE}` };
  });
}

const ADVICE = 'Check the disk or bucket, and take a new backup: it stores again what is still there.';

async function listedKeys(repository: Repository, manifest: Manifest, keys: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { key } of repository.list(manifest)) if (keys.has(key)) found.push(key);
  } catch (error) {
    if (!backupProblems.is(error, 'damaged')) throw error;
  }
  return found;
}

function bytesOf(manifest: Manifest): number {
  return objectsOf(manifest).reduce((sum, { bytes }) => sum + bytes, manifest.blobs.bytes);
}
