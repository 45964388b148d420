import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { databaseLeases } from '../../../src/db/leases.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import type { BackupVerification } from '../../../src/db/schema/backups.ts';
import { startBunServer } from '../../../src/drivers/bun-server.ts';
import { createEvents, type Events } from '../../../src/kernel/events.ts';
import { createMetrics } from '../../../src/kernel/metrics.ts';
import { archivePath, packed, writeArchive } from '../../../src/modules/backups/archive.ts';
import { type BackupWork, createBackups } from '../../../src/modules/backups/index.ts';
import type { BackupFile, KeptBackup, WorkOptions } from '../../../src/modules/backups/work.ts';
import type { FormerFile } from '../../../src/modules/uploads/index.ts';
import type { Database } from '../../../src/ports/database.ts';
import { recordingLog } from '../../support/fakes.ts';
import { moduleGate } from '../../support/module-gate.ts';
import { identifyByName, insertPeople, newPersonIds, type Person, type PersonIds } from '../../support/people.ts';

export type Caller = Person | 'server';

export interface BackupAnswer {
  readonly id: string;
  readonly scope: string;
  readonly operation: string;
  readonly status: string;
  readonly progress: number;
  readonly note: string;
  readonly isKept: boolean;
  readonly fileCount: number | null;
  readonly failure: { readonly code: string } | null;
  readonly verification: { readonly isGood: boolean; readonly kind: string } | null;
  readonly testRestore: { readonly isGood: boolean } | null;
  readonly restartRequired: boolean;
}

/** A repository in memory, whose work a test may hold up or break. */
export function memoryWork(now: () => number) {
  const kept = new Map<string, KeptBackup>();
  const contents = new Map<string, ReadonlyMap<string, string>>();
  const calls: string[] = [];
  let hold: Promise<void> = Promise.resolve();
  let fault: Error | null = null;
  let found: Partial<BackupVerification> = {};
  /** What each user's backup takes: contents by id. */
  const live = new Map<string, ReadonlyMap<string, string>>();
  /** Contents, by hash, that are where they belong, so that nobody reads them from a backup. */
  const present = new Set<string>();

  const begin = async (name: string, { onProgress, signal }: WorkOptions) => {
    calls.push(name);
    onProgress(0.5);
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    await Promise.race([hold, aborted]);
    if (fault) throw fault;
  };
  const look = (kind: string): BackupVerification => ({
    at: now(),
    tookMs: 1,
    kind,
    isGood: true,
    findings: [],
    ...found,
  });
  const keep = (order: { id: string; note: string }, scope: 'user' | 'system', userId: string | null) => {
    const content = (userId === null ? undefined : live.get(userId)) ?? new Map<string, string>();
    contents.set(order.id, content);
    const bytes = [...content.values()].join('').length;
    const { id, note } = order;
    kept.set(id, { id, scope, userId, note, createdAt: now(), bytes, fileCount: content.size, isImported: false });
    const files: BackupFile[] = [...content].map(([fileId, text]) => ({
      fileId,
      name: `${fileId}.txt`,
      size: text.length,
      sha256: sha256(text),
    }));
    return { bytes, fileCount: content.size, files, damagedCount: 0, verification: look('write') };
  };

  const work: BackupWork = {
    async create(order, options) {
      await begin(`create ${order.scope}`, options);
      return keep(order, order.scope, order.scope === 'user' ? order.userId : null);
    },
    async importArchive(order, options) {
      await begin(`import ${order.objectKey}`, options);
      return keep(order, 'user', order.userId);
    },
    async verify({ level }, options) {
      await begin(`verify ${level}`, options);
      return look(level);
    },
    async prepareRestore({ id }, options) {
      await begin(`restore ${id}`, options);
    },
    async prune() {
      calls.push('prune');
      return [];
    },
    async forget(ids) {
      calls.push('forget');
      for (const id of ids) kept.delete(id);
    },
    kept: async () => ({ backups: [...kept.values()], broken: [] }),
    archive({ id, scope, files }) {
      if (scope === 'system') return packed(async function* () {});
      const chosen = [...(contents.get(id) ?? [])].filter(([fileId]) => !files || files.includes(fileId));
      const at = new Date(0).toISOString();
      const listed = chosen.map(([fileId, text]) => {
        const name = `${fileId}.txt`;
        const file = { path: archivePath(fileId, name), id: fileId, name, size: text.length, type: 'text/plain' };
        return { ...file, sha256: sha256(text), visibility: 'private' as const, createdAt: at, updatedAt: at };
      });
      const account = { email: 'alice@example.org', name: '', createdAt: at };
      const index = { format: 1, kind: 'bunkhouse-user-backup', createdAt: at, account, files: listed } as const;
      return writeArchive(index, async function* (file) {
        yield new TextEncoder().encode(contents.get(id)?.get(file.id));
      });
    },
  };
  return {
    work,
    kept,
    calls,
    live,
    present,
    holdUp: (until: Promise<void>) => {
      hold = until;
    },
    breakWith: (error: Error | null) => {
      fault = error;
    },
    find: (what: Partial<BackupVerification>) => {
      found = what;
    },
  };
}

export interface OpenOptions {
  readonly schedule?: string | null;
  /** To go on with, as another process. */
  readonly database?: Database;
  readonly repository?: ReturnType<typeof memoryWork>;
  readonly ids?: PersonIds;
}

/** The backups module behind the real gate, on a database of its own and a repository in memory. */
export async function openBackups(options: OpenOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-backups-'));
  const database = options.database ?? (await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') }));
  const ids = options.ids ?? newPersonIds();
  if (!options.database) {
    await migrate(database, loadMigrations());
    await insertPeople(database, ids);
  }
  const clock = { now: () => Date.now() };
  const repository = options.repository ?? memoryWork(clock.now);
  const told: { readonly name: string; readonly event: Events['backups/finished'] | Events['alerts/raised'] }[] = [];
  const putBack: { readonly ownerId: string; readonly file: FormerFile; readonly content: string }[] = [];
  const faults: unknown[] = [];
  const events = createEvents((error) => faults.push(error));
  for (const name of ['backups/progress', 'backups/finished', 'alerts/raised'] as const) {
    events.on(name, (event) => void told.push({ name, event }));
  }
  const metrics = createMetrics();
  const module = createBackups({
    database,
    leases: databaseLeases(database, clock),
    clock,
    events,
    log: recordingLog(),
    metrics,
    work: repository.work,
    schedule: options.schedule ?? null,
    canTestRestore: true,
    findFile: async (caller, id) => (caller.id === ids.alice && id === ARCHIVE_FILE ? { objectKey: 'files/x' } : null),
    putBack: async (ownerId, file, body) => {
      if (repository.present.has(file.sha256)) return;
      const chunks: Uint8Array[] = [];
      for await (const chunk of body()) chunks.push(chunk);
      putBack.push({ ownerId, file, content: Buffer.concat(chunks).toString() });
    },
  });
  const gate = moduleGate([module.routes], {
    identify: identifyByName(ids),
    onFault: (error) => faults.push(error),
  });
  const server = startBunServer({
    hostname: '127.0.0.1',
    port: 0,
    isHostAllowed: () => true,
    refuse: () => new Response(null, { status: 421 }),
    handle: gate,
  });
  await module.start();

  const request = (person: Caller | null, method: string, path: string, body?: unknown) =>
    fetch(`${server.url}/api/backups${path}`, {
      method,
      headers: {
        ...(person ? { authorization: `Bearer ${person}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return {
    database,
    repository,
    module,
    events,
    metrics,
    ids,
    told,
    putBack,
    faults,
    request,
    json: async (person: Caller, method: string, path: string, body?: unknown) =>
      (await (await request(person, method, path, body)).json()) as BackupAnswer & { readonly code?: string },
    /** Ends the process; the database stays for another. */
    async stop() {
      await module.stop();
      await server.stop();
    },
    async [Symbol.asyncDispose]() {
      await module.stop();
      await server.stop();
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A file that alice may read. */
export const ARCHIVE_FILE = '01900000-0000-7000-8000-000000000001';

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
