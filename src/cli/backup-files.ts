import { join } from 'node:path';
import { childImages } from '../drivers/child-images.ts';
import { isKnownDead, ownGlobalIdentity } from '../drivers/process-identity.ts';
import { createEvents } from '../kernel/events.ts';
import { uuidv7 } from '../kernel/ids.ts';
import type { Manifest } from '../modules/backups/manifest.ts';
import { sidePath } from '../modules/backups/pending-restore.ts';
import { returnFiles } from '../modules/backups/returned-files.ts';
import { createUploads } from '../modules/uploads/index.ts';
import { locations } from '../paths.ts';
import { systemClock } from '../ports/clock.ts';
import type { Database } from '../ports/database.ts';
import { openStorage, storageLocation } from '../storage.ts';
import { type BackupContext, withProgress } from './backup-context.ts';
import { toSize } from './backup-progress.ts';
import { print } from './command.ts';
import { requireMigrated, withDatabase } from './open-database.ts';
import { silentLog } from './silent-log.ts';

export interface FilesOrder {
  readonly user: string | undefined;
  readonly fileId: string | undefined;
  readonly isDryRun: boolean;
  readonly asJson: boolean;
}

/** Puts files back into the system as it is, which may be running. */
export async function restoreFiles(
  { config, repository, images }: BackupContext,
  manifest: Manifest,
  { asJson, ...order }: FilesOrder,
): Promise<number> {
  const returned = await withProgress(asJson, (on) =>
    withDatabase(config, async (database) => {
      await requireMigrated(config, database);
      const scratchPath = sidePath(join(locations(config).dataDir, 'main.db'), uuidv7());
      const putBack = await openPutBack(config, database);
      return returnFiles({ repository, images, putBack, scratchPath }, { manifest, ...order }, on);
    }),
  );
  const { account, present, made, replaced, found, lost } = returned;
  print(asJson, returned, () => [
    ...(order.isDryRun
      ? [`${found.count} files (${toSize(found.bytes)}) of ${account.email} are in the backup`]
      : [
          `${account.email}: ${made} files put back, ${replaced} replaced (what they had is kept beside as a copy), ${present} were there`,
        ]),
    ...lost.map(({ fileId, detail }) => `LOST: file ${fileId}: ${detail}`),
  ]);
  return lost.length === 0 ? 0 : 1;
}

/** The way in which the server itself gives files back, by the same limits and rules. */
async function openPutBack(config: BackupContext['config'], database: Database) {
  const { objects, resumable } = await openStorage(storageLocation(config), config, silentLog);
  const { putBack } = createUploads({
    database,
    store: objects,
    clock: systemClock,
    events: createEvents(() => undefined),
    log: silentLog,
    limits: {
      maxFileBytes: config.uploadMaxSize,
      userQuotaBytes: config.userQuota,
      userMaxFiles: config.userMaxFiles,
      types: config.uploadTypes ?? [],
    },
    tus: { resumable, holder: ownGlobalIdentity, isDead: isKnownDead, basePath: () => '' },
    images: childImages({ log: silentLog }),
    redirectsDownloads: false,
    linkKey: new Uint8Array(32),
    publicUrl: () => '',
    keepsDeleted: async () => true,
  });
  return putBack;
}
