import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { uuidv7 } from '../../kernel/ids.ts';
import type { FileRow } from '../../ports/database-images.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { Check } from './check.ts';
import type { JobOptions } from './jobs.ts';
import type { Manifest } from './manifest.ts';
import { applyPendingRestore, type SwapOptions } from './pending-restore.ts';
import { backupProblems } from './problems.ts';
import { prepareRestore, type RestoreHost } from './restore.ts';

/** A server that runs on restored data, apart from everything else. */
export interface BootedServer {
  /** Asks it as an admin. */
  get(path: string): Promise<Response>;
  stop(): Promise<void>;
}

export interface TestRestoreHost extends Omit<RestoreHost, 'assertProtected'> {
  /** A directory for this alone; the caller removes it. */
  readonly scratchDir: string;
  readonly openObjects: (root: string) => ObjectStore;
  readonly claim: SwapOptions['claim'];
  /** Starts the program on a data folder that has these databases. @returns what it said when it does not come up. */
  readonly boot: (
    dataDir: string,
    databases: readonly string[],
    signal?: AbortSignal,
  ) => Promise<BootedServer | string>;
}

type Finding = Check['findings'][number];

/** Files that are given back and compared; the newest is always among them. */
const SAMPLE = 25;
/** Larger ones are not picked, so that the scratch directory stays small; other verifications read them. */
const MAX_SAMPLE_BYTES = 256 * 2 ** 20;

/**
 * Proves that a system backup restores: databases, secret and a sample of files go to a scratch directory, a server is started on it,
 * asked for its health and for each of these files, and its answers are compared byte for byte.
 * @returns what was found; what hinders the test itself (no key, no room, an unreachable repository) is thrown.
 */
export async function testRestore(
  host: TestRestoreHost,
  manifest: Manifest,
  { onProgress = () => undefined, signal }: JobOptions = {},
): Promise<Check> {
  const { clock, scratchDir, repository } = host;
  const startedAt = clock.now();
  const begun = performance.now();
  const id = uuidv7(startedAt);
  const findings: Finding[] = [];
  let sample: readonly FileRow[] = [];
  let health = 'not started';
  let restoredFiles = 0;
  const check = (): Check => ({
    id,
    snapshot: manifest.id,
    kind: 'test-restore',
    startedAt: new Date(startedAt).toISOString(),
    tookMs: Math.round(performance.now() - begun),
    ok: findings.length === 0,
    findings,
    restoredFiles,
    health,
  });
  const written = async (result: Check): Promise<Check> => {
    await repository.writeCheck(result);
    return result;
  };
  try {
    const databasePath = (name: string) => join(scratchDir, `${name}.db`);
    const { lost } = await prepareRestore(
      { ...host, assertProtected: async () => undefined },
      { dataDir: scratchDir, databasePath, objects: host.openObjects(join(scratchDir, 'objects')) },
      {
        id,
        manifest,
        acceptsLoss: true,
        fileTotal: 0,
        chooseFiles: async function* (rows) {
          sample = await pick(rows, manifest, id);
          yield* sample;
        },
      },
      {
        onProgress: (progress) => onProgress({ ...progress, fraction: progress.fraction * 0.8 }),
        ...(signal ? { signal } : {}),
      },
    );
    for (const { sha256, detail } of lost) findings.push({ code: 'damaged', message: `${sha256}: ${detail}` });
    await applyPendingRestore({ dataDir: scratchDir, claim: host.claim });

    onProgress({ phase: 'starting', done: 0, total: 0, fraction: 0.8 });
    const names = manifest.databases.map(({ name }) => name);
    const server = await host.boot(scratchDir, names, signal);
    if (typeof server === 'string') {
      findings.push({ code: 'start', message: `the server does not start on the restored data: ${server}` });
      return await written(check());
    }
    try {
      const ready = await server.get('/health/ready');
      health = ((await ready.json()) as { readonly status: string }).status;
      if (!ready.ok) findings.push({ code: 'health', message: `the restored server says that it is ${health}` });
      const given = new Set(lost.map(({ fileId }) => fileId));
      for (const row of sample) {
        if (given.has(row.id)) continue;
        const fault = await compare(server, row);
        if (fault) findings.push({ code: 'file', message: `the file ${row.id} ${fault}` });
        else restoredFiles++;
        onProgress({
          phase: 'comparing',
          done: restoredFiles,
          total: sample.length,
          fraction: 0.9 + (0.1 * restoredFiles) / sample.length,
        });
      }
    } finally {
      await server.stop();
    }
  } catch (error) {
    signal?.throwIfAborted();
    // What says something about the backup is a finding; other failures are not its fault.
    if (!backupProblems.is(error, 'damaged')) throw error;
    findings.push({ code: 'damaged', message: error.detail });
  }
  return written(check());
}

/** The newest file and others, different ones each time, in order of their hashes. */
async function pick(rows: AsyncIterable<FileRow>, { damaged }: Manifest, salt: string): Promise<FileRow[]> {
  const lost = new Set(damaged.map(({ sha256 }) => sha256));
  let newest: FileRow | null = null;
  let picked: { readonly row: FileRow; readonly lot: string }[] = [];
  for await (const row of rows) {
    if (lost.has(row.sha256) || row.size > MAX_SAMPLE_BYTES) continue;
    if (!newest || row.updatedAt > newest.updatedAt) newest = row;
    picked.push({ row, lot: createHash('sha256').update(salt).update(row.id).digest('hex') });
    if (picked.length >= 10 * SAMPLE) picked = lowest(picked);
  }
  const chosen = lowest(picked).map(({ row }) => row);
  if (newest && !chosen.some(({ id }) => id === newest?.id)) chosen[0] = newest;
  return chosen.sort((a, b) => (a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : a.id < b.id ? -1 : 1));
}

function lowest<T extends { readonly lot: string }>(picked: readonly T[]): T[] {
  return picked.toSorted((a, b) => (a.lot < b.lot ? -1 : 1)).slice(0, SAMPLE);
}

/** @returns what is wrong with a file as the server gives it. */
async function compare(server: BootedServer, { id, size, sha256 }: FileRow): Promise<string | null> {
  const answer = await server.get(`/api/files/${id}/content`).catch(() => null);
  if (!answer) return 'is not answered: the server has ended';
  if (!answer.ok || !answer.body) return `is answered with ${answer.status}`;
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of answer.body) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return bytes === size && hash.digest('hex') === sha256 ? null : 'comes back with another content';
}
