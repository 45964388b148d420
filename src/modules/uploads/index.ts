import type { Caller } from '../../kernel/caller.ts';
import type { EventBus } from '../../kernel/events.ts';
import { createHook } from '../../kernel/hooks.ts';
import { isUuid } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import type { Images } from '../../ports/images.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { ResumableStore } from '../../ports/resumable-store.ts';
import type { Module } from '../../web/module.ts';
import type { AdmissionHook } from './admission.ts';
import { contentRoutes } from './content-routes.ts';
import { directRoutes } from './direct-routes.ts';
import { createDirectService } from './direct-service.ts';
import { STALL_MS } from './incoming.ts';
import { type UploadLimits, withinStore } from './intake.ts';
import { linkRoutes } from './link-routes.ts';
import { createLinks } from './links.ts';
import { createPutBack } from './put-back.ts';
import { createReaper } from './reaper.ts';
import { uploadRoutes } from './routes.ts';
import { createUploadService } from './service.ts';
import { createThumbhashes } from './thumbhashes.ts';
import { createTurns } from './turns.ts';
import { tusRoutes } from './tus-routes.ts';
import { createResumableService } from './tus-service.ts';

export type { UploadLimits } from './intake.ts';
export { uploadProblems } from './problems.ts';
export type { FormerFile, PutBack } from './put-back.ts';

export interface UploadsOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly limits: UploadLimits;
  readonly tus: TusOptions;
  readonly images: Images;
  /** Downloads are sent to the store, where it can be reached by clients. */
  readonly redirectsDownloads: boolean;
  /** Signs links to files. */
  readonly linkKey: Uint8Array;
  /** Where clients reach this server, without a slash at the end. */
  readonly publicUrl: () => string;
  /** Whether objects of deleted files must stay for now, as while a backup is taken. */
  readonly keepsDeleted: (tx: Queries) => Promise<boolean>;
}

/** Resumable uploads. */
export interface TusOptions {
  readonly resumable: ResumableStore;
  /** Names this process among all that share the database. */
  readonly holder: string;
  /** Whether the process of that name is known to have died; `false` when nobody can tell. */
  readonly isDead: (holder: string) => boolean;
  /** Path in front of ours, when a proxy takes one away; empty when not. */
  readonly basePath: () => string;
  /** An upload to which nothing was added for so long is deleted; a day when not said. */
  readonly expiryMs?: number;
  /** A body that stays silent for so long is given up; a minute when not said. */
  readonly stallMs?: number;
}

/** Bodies that are read from at the same moment: enough to keep a disk busy, and little work for the event loop at a time. */
const READ_AT_ONCE = 4;
const EXPIRY_MS = 24 * 3_600_000;

/** Files: taking them in, keeping them, giving them back. */
export function createUploads(given: UploadsOptions) {
  const options = { ...given, limits: withinStore(given.limits, given.store) };
  const { database, store, clock, events, log, limits, tus } = options;
  const stopping = new AbortController();
  const sweep = async (): Promise<void> => {
    await service.quota.sweep(database);
    await links.sweep();
    await resumable.sweep(stopping.signal);
    await direct.sweep(stopping.signal);
  };
  const reaper = createReaper({ database, store, log, sweep, isHeldBack: options.keepsDeleted });
  const admission: AdmissionHook = createHook();
  const service = createUploadService({ ...options, admission, onDoomed: reaper.wake });
  const thumbhashes = createThumbhashes({ database, variants: service.variants, log });
  const { getOwned } = service;
  const links = createLinks({ database, clock, key: options.linkKey, publicUrl: options.publicUrl, getOwned });
  const resumable = createResumableService({
    database,
    store,
    clock,
    log,
    limits,
    quota: service.quota,
    admit: service.admit,
    expiryMs: EXPIRY_MS,
    ...tus,
  });
  const direct = createDirectService({
    ...options,
    quota: service.quota,
    admit: service.admit,
    onDoomed: reaper.wake,
  });
  const { basePath, stallMs = STALL_MS } = tus;
  const openTurn = createTurns(READ_AT_ONCE);
  const subscriptions: (() => void)[] = [];
  const module = {
    name: 'uploads',
    routes: [
      uploadRoutes(service, openTurn),
      contentRoutes({ service, links }),
      linkRoutes(links),
      directRoutes(direct),
      tusRoutes({ service: resumable, maxBytes: limits.maxFileBytes, basePath, stallMs, openTurn }),
    ],
    async start() {
      subscriptions.push(
        events.on('users/deleted', reaper.wake),
        events.on('files/created', thumbhashes.wake),
        events.on('files/changed', thumbhashes.wake),
      );
      await reaper.recover();
      thumbhashes.wake();
    },
    async stop() {
      for (const unsubscribe of subscriptions) unsubscribe();
      stopping.abort();
      await resumable.drain();
      await Promise.all([reaper.stop(), thumbhashes.stop()]);
    },
  } satisfies Module;
  return {
    ...module,
    hooks: { admission },
    /**
     * The content of a file that the caller may read, whole, for code of the house; null when there is none, `tooLarge` instead of
     * more than `maxBytes`.
     */
    async readFile(caller: Caller | null, id: string, maxBytes: number) {
      const file = isUuid(id) ? await service.findReadable(caller, id) : null;
      if (!file) return null;
      if (file.size > maxBytes) return { tooLarge: true } as const;
      return { type: file.type, bytes: new Uint8Array(await new Response(await service.open(file)).arrayBuffer()) };
    },
    /** A file that the caller may read; `null` when there is none. */
    findFile: async (caller: Caller, id: string) => (isUuid(id) ? service.findReadable(caller, id) : null),
    putBack: createPutBack(database, service),
    /** Asks running resumable uploads to keep what they have and end, so that nobody has to wait for them. */
    drain: () => resumable.drain(),
  };
}
