import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runBackupJob } from '../backup-jobs.ts';
import { type Config, loadConfig } from '../config/load.ts';
import { databaseImages } from '../db/database-images.ts';
import { databaseLeases } from '../db/leases.ts';
import { loadOrCreateSecret } from '../drivers/secret-file.ts';
import { uuidv7 } from '../kernel/ids.ts';
import { databaseLocations, locations } from '../paths.ts';
import { systemClock } from '../ports/clock.ts';
import { withProgress } from './backup-context.ts';
import { toSize, toTime } from './backup-progress.ts';
import { CommandError, print } from './command.ts';
import { withDatabase } from './open-database.ts';

/** `backup create`: of the system, or of what one user has. */
export async function createBackup(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      user: { type: 'string' },
      note: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
    },
  });
  const config = loadConfig(process.env);
  const main = databaseLocations(config).find(({ name }) => name === 'main');
  if (main?.kind === 'file' && !existsSync(main.path)) throw new CommandError('there is no database yet to back up');
  const userId = values.user === undefined ? null : await idOf(config, values.user);
  const secret = {
    value: config.secret ?? loadOrCreateSecret(locations(config).dataDir),
    isGenerated: config.secret === undefined,
  };
  const job = {
    kind: 'create',
    id: uuidv7(),
    scope: userId === null ? 'system' : 'user',
    userId,
    note: values.note,
  } as const;
  const { files, ...result } = await withProgress(values.json, (on) =>
    withDatabase(config, (database) =>
      runBackupJob(job, { config, secret, leases: databaseLeases(database, systemClock), ...on }),
    ),
  );
  print(values.json, result, () => [
    `backup ${result.id}: ${result.fileCount} files and the databases, ${toSize(result.bytes)}, in ${toTime(result.tookMs)}`,
    `new in the repository: ${result.storedBlobs} contents, ${toSize(result.storedBytes)}`,
    ...result.damaged.map(({ fileId, reason }) => `WARNING: the content of file ${fileId} is ${reason}`),
    ...result.skippedDatabases.map((name) => `WARNING: the database ${name} is in memory and not in the backup`),
  ]);
  return 0;
}

async function idOf(config: Config, idOrEmail: string): Promise<string> {
  const account = await databaseImages(databaseLocations(config)).liveAccount(idOrEmail);
  if (!account) throw new CommandError('there is no account of that id or address');
  return account.id;
}
