import { existsSync } from 'node:fs';
import { backupKeys, backupLocation, findBackupRisk, openBackupRepository } from '../backup-repository.ts';
import type { Config } from '../config/load.ts';
import { AppError } from '../kernel/errors.ts';
import type { Logger } from '../ports/logger.ts';
import type { Finding } from './finding.ts';
import { silentLog } from './silent-log.ts';

/** Whether backups can be written and read where BACKUP_URL points to, and what is there. */
export async function checkBackups(config: Config): Promise<Finding[]> {
  const subject = 'backups';
  const risk = findBackupRisk(config);
  const findings: Finding[] = risk === null ? [] : [{ level: 'warning', subject, message: risk }];
  const location = backupLocation(config);
  if (location.kind === 'disk' && !existsSync(location.root)) {
    return [...findings, { level: 'ok', subject, message: 'will be created' }];
  }
  let hint = 'cannot be written to';
  const log: Logger = {
    ...silentLog,
    error: (_fields, message) => {
      hint = message;
    },
  };
  try {
    const { repository, store } = await openBackupRepository(config, log, backupKeys(config));
    await store.check();
    const { manifests, broken } = await repository.snapshots();
    for (const { key } of broken) {
      findings.push({ level: 'fault', subject, message: `${key} cannot be read: that backup is lost` });
    }
    if (repository.id === null && manifests.length + broken.length > 0) {
      const message =
        'repository.json is missing or damaged: delete it if it is there, and the next backup makes it again';
      findings.push({ level: 'fault', subject, message });
    }
    const [newest] = manifests.filter(({ scope }) => scope === 'system');
    if (newest && !repository.canReuse(newest)) {
      findings.push({
        level: 'warning',
        subject,
        message: 'the settings of encryption have changed since the newest backup',
      });
    }
    const last = newest ? `the newest of the system is of ${newest.createdAt}` : 'none of the system yet';
    return [...findings, { level: 'ok', subject, message: `writable; ${last}` }];
  } catch (error) {
    const isOurs = error instanceof AppError && error.code.startsWith('backups/');
    return [...findings, { level: 'fault', subject, message: isOurs ? error.detail : hint }];
  }
}
