import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../../ports/clock.ts';
import type { DatabaseImages, FileRow } from '../../ports/database-images.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { ListLine } from './blob-list.ts';
import type { CreationLease } from './creation-lease.ts';
import type { CreateJob, CreateResult, ImportJob } from './jobs.ts';
import type { Manifest, ObjectEntry } from './manifest.ts';
import type { ProgressReporter } from './progress.ts';
import type { Repository } from './repository.ts';
import { type ContentTally, storeContents } from './store-contents.ts';
import { createThrottle } from './throttle.ts';

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
export interface Run extends CreateOptions {
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

export const PHASES = {
  images: { phase: 'images', from: 0, to: 0.1 },
  files: { phase: 'files', from: 0.1, to: 0.8 },
  databases: { phase: 'databases', from: 0.8, to: 0.98 },
  finishing: { phase: 'finishing', from: 0.98, to: 1 },
} as const;

/** What a run came to, to be written into its manifest and told. */
export interface Taken {
  readonly parts: Parts;
  readonly result: Omit<CreateResult, 'id' | 'tookMs' | 'damaged'>;
}

/** Sees to it that the repository has the content of every file. @param rows in order of their hashes. */
export async function storeFiles(run: Run, rows: () => AsyncIterable<FileRow>, bytes: number) {
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

/** @param document gives the text as often as it is asked. */
export async function storeSealed(
  repository: Repository,
  document: () => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ObjectEntry> {
  const hash = createHash('sha256');
  for await (const chunk of document()) hash.update(chunk);
  const name = { kind: 'sealed', sha256: hash.digest('hex') } as const;
  return (await repository.findObject(name)) ?? (await repository.writeObject(name, document(), { signal }));
}
