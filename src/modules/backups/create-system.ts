import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PHASES, type Run, storeFiles, storeSealed, type Taken } from './create-run.ts';
import type { DatabaseEntry, ObjectEntry } from './manifest.ts';
import { backupProblems } from './problems.ts';

/** Of an image; what is compressed at a time needs no copying then. */
const READ_BYTES = 2 ** 20;

/** All databases, the content of every file that they name, and the secret when it was generated. */
export async function takeSystem(run: Run): Promise<Taken> {
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
  const taken: (Omit<DatabaseEntry, 'image'> & { readonly path: string; readonly sha256: string })[] = [];
  for (const { name, bytes } of sizes) {
    const path = pathOf(name);
    // The one is done by a process of its own.
    const [{ problems, tables, migrations }, sha256] = await Promise.all([
      images.inspect(path, name, signal),
      hashOf(path, signal),
    ]);
    if (problems.length > 0) {
      const detail = `The database ${name} is damaged, so no backup of it was made: ${problems.slice(0, 3).join('; ')}.`;
      throw backupProblems.create('damaged-database', { detail });
    }
    taken.push({ name, path, sha256, tables: { ...tables }, migrations: [...migrations] });
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
  for (const { path, sha256, ...entry } of taken) {
    databases.push({ ...entry, image: await storeImage(run, entry.name, path, sha256) });
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

/** The image's object; of an image that is there already nothing is stored. */
async function storeImage(
  { repository, previous, suspects, progress, signal }: Run,
  name: string,
  path: string,
  sha256: string,
): Promise<ObjectEntry> {
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

async function hashOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const memory = new Uint8Array(READ_BYTES);
  const file = await open(path);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(memory);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(memory.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

async function* chunksOf(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    signal.throwIfAborted();
    yield chunk as Uint8Array;
  }
}
