import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidv7 } from '../../kernel/ids.ts';
import { databaseProblems, storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DatabaseImages, FileRow } from '../../ports/database-images.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import { readArchive } from './archive.ts';
import type { ListLine } from './blob-list.ts';
import type { CreationLease } from './creation-lease.ts';
import type { CreateJob, CreateResult, ImportJob, JobOptions } from './jobs.ts';
import type { DatabaseEntry, Manifest, ObjectEntry } from './manifest.ts';
import { backupProblems } from './problems.ts';
import { createProgress, type ProgressReporter } from './progress.ts';
import type { Repository } from './repository.ts';
import { type ContentTally, storeContents } from './store-contents.ts';
import { createThrottle } from './throttle.ts';
import { type SpooledIndex, spoolUserIndex } from './user-index.ts';

export interface CreateOptions {
  readonly repository: Repository;
  readonly images: DatabaseImages;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** Keeps deleted files' objects in place; asked before the backup becomes complete. */
  readonly guard: Pick<CreationLease, 'isHeld'>;
  /** Where databases are copied to on the way; what earlier runs left there is removed. */
  readonly workDir: string;
  readonly secret: { readonly value: string; readonly isGenerated: boolean };
  /** The running version. */
  readonly program: string;
  /** Id of this system. */
  readonly installation: string;
  /** Bytes of files read in a second; `null` for no bound. */
  readonly maxRate: number | null;
}

/** A run under way. */
interface Run extends CreateOptions {
  readonly job: CreateJob | ImportJob;
  readonly scratch: string;
  readonly progress: ProgressReporter;
  readonly signal: AbortSignal;
  /** The newest backups whose objects this one may refer to: of the system, and of the user whose it is. */
  readonly previous: readonly Manifest[];
  /** Keys of objects that are not to be relied on before they were read again. */
  readonly suspects: ReadonlySet<string>;
}

type Parts = Pick<Manifest, 'createdAt' | 'databases' | 'blobs' | 'sealed' | 'secret' | 'damaged'>;

const PHASES = {
  images: { phase: 'images', from: 0, to: 0.1 },
  files: { phase: 'files', from: 0.1, to: 0.8 },
  databases: { phase: 'databases', from: 0.8, to: 0.98 },
  finishing: { phase: 'finishing', from: 0.98, to: 1 },
} as const;
const READ_BYTES = 2 ** 18;

/**
 * Takes a backup. It is complete when its manifest is there, which is written last; a run that ends before leaves objects that
 * nothing refers to, and the next run finds them. Files deleted meanwhile are in it when an image names them.
 * @throws backups/busy, backups/lease-lost, backups/no-room, backups/damaged-database, backups/damaged-write, backups/not-found for an
 * account that is gone; the signal's reason.
 */
export async function createBackup(
  job: CreateJob | ImportJob,
  options: CreateOptions,
  on: JobOptions = {},
): Promise<CreateResult> {
  const { repository, clock, workDir } = options;
  const startedAt = clock.now();
  // Whoever takes a backup is alone on this system, so nobody uses these.
  await rm(workDir, { recursive: true, force: true });
  const scratch = join(workDir, job.id);
  try {
    await repository.initialise();
    const lease = await repository.lease('shared', `taking the backup ${job.id}`);
    try {
      await mkdir(scratch, { recursive: true, mode: 0o700 });
      const signal = AbortSignal.any([lease.signal, ...(on.signal ? [on.signal] : [])]);
      const progress = createProgress(on.onProgress ?? (() => undefined));
      const [previous, suspects] = [await findPrevious(repository, job), await repository.suspects()];
      const run: Run = { ...options, job, scratch, progress, signal, previous, suspects };
      const taken = await take(run);
      const manifest: Manifest = {
        format: 1,
        id: job.id,
        scope: scopeOf(job),
        userId: job.userId,
        note: job.note,
        tookMs: Math.max(0, clock.now() - startedAt),
        program: options.program,
        installation: options.installation,
        files: taken.result.fileCount,
        origin: job.kind === 'import' ? 'imported' : 'here',
        recipient: repository.recipient,
        ...taken.parts,
      };
      signal.throwIfAborted();
      if (!(await options.guard.isHeld())) throw backupProblems.create('lease-lost');
      await repository.writeManifest(manifest, lease);
      await repository.writeCheck(writeCheckOf(manifest, clock));
      return { id: job.id, tookMs: manifest.tookMs, damaged: manifest.damaged, ...taken.result };
    } finally {
      await lease.release();
    }
  } catch (error) {
    throw translated(error);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

interface Taken {
  readonly parts: Parts;
  readonly result: Omit<CreateResult, 'id' | 'tookMs' | 'damaged'>;
}

function take(run: Run): Promise<Taken> {
  const { job } = run;
  if (job.kind === 'import') return takeArchive(run, job);
  return job.scope === 'system' ? takeSystem(run) : takeUser(run);
}

function scopeOf(job: CreateJob | ImportJob): Manifest['scope'] {
  return job.kind === 'import' ? 'user' : job.scope;
}

async function takeSystem(run: Run): Promise<Taken> {
  const { images, progress, repository, signal } = run;
  if (!images.names.includes('main')) throw backupProblems.create('in-memory');
  const createdAt = new Date(run.clock.now()).toISOString();
  const sizes = await images.sizes();
  // Each is taken and looked into.
  progress.begin(PHASES.images, 2 * sizes.reduce((sum, { bytes }) => sum + bytes, 0));
  const pathOf = (name: string) => join(run.scratch, `${name}.sqlite`);
  // All at first, so that the databases differ in time by no more than the copying takes.
  for (const { name, bytes } of sizes) {
    await images.take(name, pathOf(name), signal);
    progress.add(bytes);
  }
  const taken: (Omit<DatabaseEntry, 'image'> & { readonly path: string })[] = [];
  for (const { name, bytes } of sizes) {
    const path = pathOf(name);
    const { problems, tables, migrations } = await images.inspect(path, name, signal);
    if (problems.length > 0) {
      const detail = `The database ${name} is damaged, so no backup of it was made: ${problems.slice(0, 3).join('; ')}.`;
      throw backupProblems.create('damaged-database', { detail });
    }
    taken.push({ name, path, tables: { ...tables }, migrations: [...migrations] });
    progress.add(bytes);
  }

  const main = join(run.scratch, 'main.sqlite');
  const totals = await images.fileTotals(main);
  const { blobs, tally } = await storeFiles(run, () => images.files(main), totals.bytes);

  const imageBytes = await Promise.all(taken.map(async ({ path }) => (await stat(path)).size));
  progress.begin(
    PHASES.databases,
    imageBytes.reduce((sum, bytes) => sum + bytes, 0),
  );
  const databases: DatabaseEntry[] = [];
  for (const { path, ...entry } of taken) {
    databases.push({ ...entry, image: await storeImage(run, entry.name, path) });
    await rm(path);
  }

  progress.begin(PHASES.finishing, 0);
  const { isGenerated, value } = run.secret;
  async function* document() {
    yield Buffer.from(`${JSON.stringify({ secret: value })}\n`);
  }
  const sealed = isGenerated ? [{ kind: 'secret' as const, ...(await storeSealed(repository, document, signal)) }] : [];
  return {
    parts: {
      createdAt,
      databases,
      blobs,
      sealed,
      secret: isGenerated ? 'included' : 'set-by-hand',
      damaged: tally.damaged,
    },
    result: {
      bytes: imageBytes.reduce((sum, bytes) => sum + bytes, blobs.bytes),
      fileCount: totals.count,
      storedBlobs: tally.storedBlobs,
      storedBytes: tally.storedBytes,
      skippedDatabases: images.withoutImage,
      files: [],
    },
  };
}

/** Rows are read in one go and kept in a file of their own, so that nothing holds the live database while contents are copied. */
async function takeUser(run: Run): Promise<Taken> {
  const { images, job, progress } = run;
  if (!images.names.includes('main')) throw backupProblems.create('in-memory');
  progress.begin(PHASES.images, 0);
  const createdAt = new Date(run.clock.now()).toISOString();
  const account = job.userId === null ? null : await images.liveAccount(job.userId);
  if (!account) throw backupProblems.create('not-found');
  const index = await spoolUserIndex(account, images.liveFiles(account.id), run.scratch);
  const stored = await storeFiles(run, index.rows, index.bytes);
  return finishUser(run, createdAt, index, stored);
}

/** What somebody brought along: nothing of it is believed that does not agree with its hashes. */
async function takeArchive(run: Run, { objectKey, userId }: ImportJob): Promise<Taken> {
  const { clock, objects, progress, repository, scratch, signal } = run;
  const archive = await objects.get(objectKey);
  if (!archive) throw backupProblems.create('no-archive');
  const createdAt = new Date(clock.now()).toISOString();
  progress.begin(PHASES.files, archive.size);
  const tally: ContentTally = { storedBlobs: 0, storedBytes: 0, damaged: [] };
  const contents = new Map<string, ListLine>();
  const { body } = archive;
  const tar = body instanceof Blob ? body.stream() : body;
  const { account, files } = await readArchive(
    tar,
    () => undefined,
    async ({ sha256, size }, content) => {
      signal.throwIfAborted();
      const name = { kind: 'blob', sha256 } as const;
      let line = contents.get(sha256) ?? (await repository.findObject(name));
      // What is stored already may be somebody else's: only who brings the content along gets it.
      if (line) await assertContent(content, sha256);
      else {
        line = await repository.writeObject(name, content, { signal });
        tally.storedBlobs++;
        tally.storedBytes += size;
      }
      if (line.bytes !== size) throw backupProblems.create('wrong-content');
      contents.set(sha256, line);
      progress.add(size);
    },
  );
  const lines = [...contents.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  async function* inOrder() {
    yield* lines;
  }
  const blobs = await repository.writeList(inOrder(), join(scratch, 'list'), { signal });
  async function* rows(): AsyncGenerator<FileRow> {
    for (const { path: _, createdAt: made, updatedAt, ...file } of files) {
      yield { ...file, ownerId: userId, objectKey: '', createdAt: Date.parse(made), updatedAt: Date.parse(updatedAt) };
    }
  }
  const owner = { ...account, id: userId, createdAt: Date.parse(account.createdAt) };
  const index = await spoolUserIndex(owner, rows(), scratch);
  return finishUser(run, createdAt, index, { blobs, tally });
}

async function finishUser(
  { progress, repository, signal }: Run,
  createdAt: string,
  index: SpooledIndex,
  { blobs, tally }: { readonly blobs: Manifest['blobs']; readonly tally: ContentTally },
): Promise<Taken> {
  progress.begin(PHASES.finishing, 0);
  const entry = await storeSealed(repository, index.document, signal);
  return {
    parts: {
      createdAt,
      databases: [],
      blobs,
      sealed: [{ kind: 'index', ...entry }],
      secret: 'none',
      damaged: tally.damaged,
    },
    result: {
      bytes: blobs.bytes,
      fileCount: index.count,
      storedBlobs: tally.storedBlobs,
      storedBytes: tally.storedBytes,
      skippedDatabases: [],
      files: await Array.fromAsync(index.rows(), ({ id, name, size, sha256 }) => ({ fileId: id, name, size, sha256 })),
    },
  };
}

async function storeFiles(run: Run, rows: () => AsyncIterable<FileRow>, bytes: number) {
  const { repository, previous, suspects, scratch, signal, progress } = run;
  progress.begin(PHASES.files, bytes);
  const throttle = createThrottle(run.maxRate, signal);
  const tally: ContentTally = { storedBlobs: 0, storedBytes: 0, damaged: [] };
  const known = previous.map((manifest) => reliable(repository.list(manifest), suspects));
  const lines = storeContents(rows(), known, { ...run, throttle }, tally);
  const blobs = await repository.writeList(lines, join(scratch, 'list'), { signal });
  return { blobs, tally };
}

async function* reliable(lines: AsyncIterable<ListLine>, suspects: ReadonlySet<string>): AsyncGenerator<ListLine> {
  for await (const line of lines) if (!suspects.has(line.key)) yield line;
}

/** The image's object; of an image that is there already nothing is stored. */
async function storeImage(
  { repository, previous, suspects, progress, signal }: Run,
  name: string,
  path: string,
): Promise<ObjectEntry> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(path, signal)) hash.update(chunk);
  const sha256 = hash.digest('hex');
  const before = previous.flatMap(({ databases }) => databases).find((entry) => entry.image.sha256 === sha256);
  if (before?.name === name && !suspects.has(before.image.key)) return before.image;
  const object = { kind: 'database', database: name, sha256 } as const;
  const left = await repository.findObject(object);
  if (left) return left;
  async function* read() {
    for await (const chunk of chunksOf(path, signal)) {
      yield chunk;
      progress.add(chunk.length);
    }
  }
  return repository.writeObject(object, read(), { signal });
}

/** @param document gives the text as often as it is asked. */
async function storeSealed(
  repository: Repository,
  document: () => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ObjectEntry> {
  const hash = createHash('sha256');
  for await (const chunk of document()) hash.update(chunk);
  const name = { kind: 'sealed', sha256: hash.digest('hex') } as const;
  return (await repository.findObject(name)) ?? (await repository.writeObject(name, document(), { signal }));
}

/** One of the whole system has the contents of all users. One whose list is damaged is of no use. */
async function findPrevious(repository: Repository, job: CreateJob | ImportJob): Promise<Manifest[]> {
  const scope = scopeOf(job);
  const { userId } = job;
  const { manifests } = await repository.snapshots();
  const usable = manifests.filter((manifest) => repository.canReuse(manifest));
  const system = usable.find((manifest) => manifest.scope === 'system');
  const own =
    scope === 'user' ? usable.find((manifest) => manifest.userId === userId && manifest.scope === 'user') : null;
  const sound: Manifest[] = [];
  for (const manifest of [system, own]) {
    if (!manifest) continue;
    try {
      await repository.verifyStored(manifest.blobs.list);
      sound.push(manifest);
    } catch (error) {
      if (!backupProblems.is(error, 'damaged')) throw error;
    }
  }
  return sound;
}

/** All that was stored was read back, so the first check is done. */
function writeCheckOf({ id, tookMs }: Manifest, clock: Clock) {
  const startedAt = new Date(clock.now()).toISOString();
  return { id: uuidv7(clock.now()), snapshot: id, kind: 'write' as const, startedAt, tookMs, ok: true, findings: [] };
}

async function assertContent(content: AsyncIterable<Uint8Array>, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  if (hash.digest('hex') !== sha256) throw backupProblems.create('wrong-content');
}

/** What rooms below say of a full disk and a damaged file, in the words of backups. */
function translated(error: unknown): unknown {
  if (databaseProblems.is(error, 'full')) {
    const detail = 'There is not enough room for copies of the databases below DATA_DIR. No backup was made.';
    return backupProblems.create('no-room', { cause: error, detail });
  }
  if (storageProblems.is(error, 'full')) {
    const detail = 'There is not enough room where backups are kept. No backup was made.';
    return backupProblems.create('no-room', { cause: error, detail });
  }
  if (backupProblems.is(error, 'wrong-content')) {
    const detail = 'The archive was not taken. The content of a file in it is not what its index says.';
    return backupProblems.create('refused-archive', { cause: error, detail });
  }
  if (databaseProblems.is(error, 'corrupt')) return backupProblems.create('damaged-database', { cause: error });
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return backupProblems.create('no-room', { cause: error });
  }
  return error;
}

async function* chunksOf(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    signal.throwIfAborted();
    yield chunk as Uint8Array;
  }
}
