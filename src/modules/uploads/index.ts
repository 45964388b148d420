import type { EventBus } from '../../kernel/events.ts';
import { createHook } from '../../kernel/hooks.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { Module } from '../../web/module.ts';
import type { AdmissionHook } from './admission.ts';
import type { UploadLimits } from './intake.ts';
import { createReaper } from './reaper.ts';
import { uploadRoutes } from './routes.ts';
import { createUploadService } from './service.ts';

export type { UploadLimits } from './intake.ts';
export { uploadProblems } from './problems.ts';

export interface UploadsOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly limits: UploadLimits;
}

/** Files: taking them in, keeping them, giving them back. */
export function createUploads({ database, store, clock, events, log, limits }: UploadsOptions) {
  const reaper = createReaper({ database, store, log, sweep: () => service.quota.sweep(database) });
  const admission: AdmissionHook = createHook();
  const service = createUploadService({
    database,
    store,
    clock,
    events,
    log,
    limits,
    admission,
    onDoomed: reaper.wake,
  });
  let unsubscribe: () => void = () => undefined;
  const module = {
    name: 'uploads',
    routes: uploadRoutes(service),
    async start() {
      unsubscribe = events.on('users/deleted', reaper.wake);
      await reaper.recover();
    },
    async stop() {
      unsubscribe();
      await reaper.stop();
    },
  } satisfies Module;
  return { ...module, hooks: { admission } };
}
