import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FileRow } from '../../ports/database-images.ts';
import { readArchive } from './archive.ts';
import type { ListLine } from './blob-list.ts';
import { PHASES, type Run, storeFiles, storeSealed, type Taken } from './create-run.ts';
import type { ImportJob } from './jobs.ts';
import type { Manifest } from './manifest.ts';
import { backupProblems } from './problems.ts';
import type { ContentTally } from './store-contents.ts';
import { type SpooledIndex, spoolUserIndex } from './user-index.ts';

/** Rows are read in one go and kept in a file of their own, so that nothing holds the live database while contents are copied. */
export async function takeUser(run: Run): Promise<Taken> {
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
export async function takeArchive(run: Run, { objectKey, userId }: ImportJob): Promise<Taken> {
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

async function assertContent(content: AsyncIterable<Uint8Array>, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  if (hash.digest('hex') !== sha256) throw backupProblems.create('wrong-content');
}
