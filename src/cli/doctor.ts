import { existsSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { sql } from 'drizzle-orm';
import { findPlannedSettings } from '../config/describe.ts';
import { type Config, loadConfig } from '../config/load.ts';
import { isLoopback } from '../kernel/loopback.ts';
import { databaseLocations, locations } from '../paths.ts';
import type { Logger } from '../ports/logger.ts';
import { openStorage, storageLocation } from '../storage.ts';
import { type Command, print, table } from './command.ts';
import { checkBackups } from './doctor-backups.ts';
import { checkCache } from './doctor-cache.ts';
import { checkPhp } from './doctor-php.ts';
import { checkUpstreams } from './doctor-upstreams.ts';
import type { Finding } from './finding.ts';
import { withDatabase } from './open-database.ts';
import { silentLog } from './silent-log.ts';

export const doctorCommand: Command = {
  summary: 'Check what the server depends on, and what is unsafe',
  help: `Usage: bunkhouse doctor [--json]

Looks at the settings, the data folder, the database, the storage, the backups, PHP, the cache and the upstreams. Exits with 1 when something cannot work.`,
  async run(args) {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean', default: false } } });
    const config = loadConfig(process.env);
    const findings = [
      ...checkSettings(config),
      await checkFolder(config),
      await checkDatabase(config),
      await checkStorage(config),
      ...(await checkBackups(config)),
      ...(await checkPhp(config)),
      await checkCache(config),
      ...(await checkUpstreams(config)),
    ];
    print(values.json, findings, () => table(findings.map(({ level, subject, message }) => [level, subject, message])));
    return findings.some(({ level }) => level === 'fault') ? 1 : 0;
  },
};

function checkSettings(config: Config): Finding[] {
  const findings: Finding[] = [{ level: 'ok', subject: 'settings', message: 'readable and complete' }];
  const warn = (subject: string, message: string) => findings.push({ level: 'warning', subject, message });
  const isPublic = !isLoopback(config.host);
  const isEncrypted = config.tlsCertificateFile !== undefined || config.publicUrl?.startsWith('https:');
  if (isPublic && config.environment !== 'production')
    warn('NODE_ENV', 'the server listens beyond this machine but is not in production mode');
  if (isPublic && !isEncrypted)
    warn('PUBLIC_URL', 'the server listens beyond this machine and nothing says that TLS is used');
  if (config.allowedHosts?.includes('*')) warn('ALLOWED_HOSTS', 'any Host is believed: DNS rebinding becomes possible');
  if (config.corsOrigins?.includes('*')) warn('CORS_ORIGINS', 'every web page may read the answers of the API');
  if (config.rateLimitAuth === null) warn('RATE_LIMIT_AUTH', 'passwords may be guessed without limit');
  if (config.rateLimit === null) warn('RATE_LIMIT', 'requests are not limited');
  for (const name of findPlannedSettings(config)) warn(name, 'has no effect in this version');
  return findings;
}

async function checkFolder(config: Config): Promise<Finding> {
  const { dataDir } = locations(config);
  try {
    const exists = await stat(dataDir).catch(() => null);
    await access(exists ? dataDir : dirname(dataDir), constants.W_OK);
    return { level: 'ok', subject: 'DATA_DIR', message: exists ? 'writable' : 'will be created' };
  } catch {
    return { level: 'fault', subject: 'DATA_DIR', message: 'cannot be written to' };
  }
}

async function checkStorage(config: Config): Promise<Finding> {
  const location = storageLocation(config);
  if (location.kind === 'disk' && !existsSync(location.root)) {
    return { level: 'ok', subject: 'storage', message: 'will be created' };
  }
  let hint = 'cannot be written to';
  const log: Logger = {
    ...silentLog,
    error: (_fields, message) => {
      hint = message;
    },
  };
  try {
    const storage = await openStorage(location, config, log);
    await storage.objects.check();
    return { level: 'ok', subject: 'storage', message: location.kind === 's3' ? 'bucket writable' : 'writable' };
  } catch {
    return { level: 'fault', subject: 'storage', message: hint };
  }
}

async function checkDatabase(config: Config): Promise<Finding> {
  const location = databaseLocations(config).find(({ name }) => name === 'main');
  if (location?.kind === 'file' && !existsSync(location.path)) {
    return { level: 'ok', subject: 'database:main', message: 'will be created' };
  }
  try {
    return await withDatabase(config, async (database) => {
      const [result] = await database.read.values<[string]>(sql`PRAGMA quick_check(1)`);
      const isSound = result?.[0] === 'ok';
      return {
        level: isSound ? 'ok' : 'fault',
        subject: 'database:main',
        message: isSound ? 'sound' : 'the file is damaged',
      };
    });
  } catch (error) {
    return {
      level: 'fault',
      subject: 'database:main',
      message: error instanceof Error ? error.message : 'cannot be opened',
    };
  }
}
