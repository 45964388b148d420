import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { startBunServer } from '../../../src/drivers/bun-server.ts';
import { childImages } from '../../../src/drivers/child-images.ts';
import { diskObjectStore } from '../../../src/drivers/disk-object-store.ts';
import { diskResumableStore } from '../../../src/drivers/disk-resumable-store.ts';
import { createEvents, type Events } from '../../../src/kernel/events.ts';
import { isBackupUnderWay } from '../../../src/modules/backups/creation-lease.ts';
import { createUploads, type TusOptions } from '../../../src/modules/uploads/index.ts';
import { type Clock, systemClock } from '../../../src/ports/clock.ts';
import type { Database } from '../../../src/ports/database.ts';
import type { Images } from '../../../src/ports/images.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import type { ResumableStore } from '../../../src/ports/resumable-store.ts';
import { recordingLog } from '../../support/fakes.ts';
import { filesBelow } from '../../support/files-below.ts';
import { moduleGate } from '../../support/module-gate.ts';
import { identifyByName, insertPeople, newPersonIds, type Person } from '../../support/people.ts';

export interface UploadsOptions {
  readonly maxFileBytes?: number;
  readonly userQuotaBytes?: number;
  readonly userMaxFiles?: number;
  readonly types?: readonly string[];
  readonly redirectsDownloads?: boolean;
  readonly linkKey?: Uint8Array;
  readonly clock?: Clock;
  /** When the listener cuts idle connections. */
  readonly idleSeconds?: number;
  /** Puts something between the module and its disk store. */
  readonly wrapStore?: (store: ObjectStore) => ObjectStore;
  readonly wrapImages?: (images: Images) => Images;
  readonly wrapDatabase?: (database: Database) => Database;
  readonly wrapResumable?: (store: ResumableStore) => ResumableStore;
  readonly tus?: Partial<TusOptions>;
  /** Where objects are kept; a directory of its own when not said. */
  readonly objectsRoot?: string;
}

/**
 * The uploads module behind the real gate and a real socket, on a database file and a disk store of its own. A caller
 * says who they are by name: `Authorization: Bearer alice`, `bob` or `root` (an admin).
 */
export async function openUploads(options: UploadsOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-uploads-'));
  const objects = options.objectsRoot ?? join(directory, 'objects');
  const plainDatabase = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
  await migrate(plainDatabase, loadMigrations());
  const ids = newPersonIds();
  await insertPeople(plainDatabase, ids);

  const database = options.wrapDatabase?.(plainDatabase) ?? plainDatabase;
  const plainStore = diskObjectStore({ root: objects });
  const store = options.wrapStore?.(plainStore) ?? plainStore;
  const log = recordingLog();
  const told: { name: string; event: unknown }[] = [];
  const faults: unknown[] = [];
  const events = createEvents((error) => faults.push(error));
  for (const name of ['files/created', 'files/changed', 'files/deleted'] as const) {
    events.on(name, (event: Events[typeof name]) => void told.push({ name, event }));
  }
  const childProcesses = childImages({ log });
  const images = options.wrapImages?.(childProcesses) ?? childProcesses;
  /** One process with the module, on the data that all share. */
  const openMachine = async (tus: Partial<TusOptions>) => {
    const resumable = diskResumableStore({ root: objects });
    const module = createUploads({
      database,
      store,
      clock: options.clock ?? systemClock,
      events,
      log,
      limits: {
        maxFileBytes: options.maxFileBytes ?? 0,
        userQuotaBytes: options.userQuotaBytes ?? 0,
        userMaxFiles: options.userMaxFiles ?? 0,
        types: options.types ?? [],
      },
      tus: {
        resumable: options.wrapResumable?.(resumable) ?? resumable,
        isDead: () => false,
        basePath: () => '',
        holder: 'this process',
        ...tus,
      },
      images,
      redirectsDownloads: options.redirectsDownloads ?? false,
      linkKey: options.linkKey ?? new Uint8Array(32),
      publicUrl: () => server.url,
      keepsDeleted: (tx) => isBackupUnderWay(tx, options.clock ?? systemClock),
    });
    const gate = moduleGate(module.routes, {
      identify: identifyByName(ids),
      onFault: (error) => faults.push(error),
    });
    const server = startBunServer({
      hostname: '127.0.0.1',
      port: 0,
      isHostAllowed: () => true,
      refuse: () => new Response(null, { status: 421 }),
      handle: gate,
      ...(options.idleSeconds === undefined ? {} : { idleSeconds: options.idleSeconds }),
    });
    await module.start();
    return { module, server };
  };
  const machines = [await openMachine(options.tus ?? {})];
  const { module, server } = machines[0] as (typeof machines)[number];

  const request = (person: Person | null, method: string, path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (person) headers.set('authorization', `Bearer ${person}`);
    return fetch(`${server.url}${path}`, { ...init, method, headers });
  };

  return {
    ids,
    events,
    told,
    database: plainDatabase,
    store: plainStore,
    module,
    url: server.url,
    log,
    request,
    /** Uploads one file and gives its description. */
    async upload(person: Person, name: string, content: BlobPart, fields: Record<string, string> = {}) {
      const form = new FormData();
      form.append('file', new File([content], name));
      for (const [field, value] of Object.entries(fields)) form.append(field, value);
      const response = await request(person, 'POST', '/api/files', { body: form });
      const { items } = (await response.json()) as { items: FileAnswer[] };
      return items[0] as FileAnswer;
    },
    /** A second process on the same data. @returns where it listens. */
    async openBeside(tus: Partial<TusOptions> = {}): Promise<string> {
      const machine = await openMachine({ holder: 'another process', ...tus });
      machines.push(machine);
      return machine.server.url;
    },
    deleteUser: (person: Person) => plainDatabase.write((tx) => tx.delete(users).where(eq(users.id, ids[person]))),
    objectsRoot: objects,
    /** Every file below the store's root, unsettled ones included. */
    filesOnDisk: () => filesBelow(objects),
    /** What nobody should ever see: bugs that were answered with 500, and listeners that threw. */
    faults,
    async [Symbol.asyncDispose]() {
      for (const machine of machines) {
        await machine.server.stop();
        await machine.module.stop();
      }
      await childProcesses.stop();
      await plainDatabase.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface FileAnswer {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly type: string;
  readonly sha256: string;
  readonly visibility: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly url: string;
  readonly thumbhash?: string;
}
