import { Type } from '@sinclair/typebox';
import { type Static, t } from 'elysia';
import type { BackupVerification } from '../../db/schema/backups.ts';
import { oneOf, Timestamp } from '../../web/schemas.ts';
import type { BackupRecord } from './store.ts';
import type { BackupFile } from './work.ts';

const VerificationSchema = t.Object(
  {
    at: Timestamp,
    tookMs: Type.Number({ description: 'Milliseconds.' }),
    kind: t.String({ description: '`write`, `quick`, `share`, `full` or `test-restore`: how much was looked at.' }),
    isGood: t.Boolean(),
    findings: t.Array(t.String(), { description: 'What is wrong, and what to do about it.' }),
  },
  { title: 'BackupVerification' },
);

/** A backup as the API shows it. */
export const BackupSchema = t.Object(
  {
    id: t.String(),
    scope: oneOf(['user', 'system']),
    operation: t.String({
      description: 'What is, or was lately, done with it: `create`, `import`, `verify` or `restore`.',
    }),
    status: t.String({ description: '`queued`, `running`, `done` or `failed`: how far that is.' }),
    progress: Type.Number({ minimum: 0, maximum: 1 }),
    note: t.String(),
    isKept: t.Boolean({ description: 'Whether it can be restored, whatever became of later work on it.' }),
    createdAt: Timestamp,
    finishedAt: t.Union([Timestamp, t.Null()]),
    bytes: t.Union([Type.Integer({ description: 'Bytes of all that is in it, not compressed.' }), t.Null()]),
    fileCount: t.Union([Type.Integer(), t.Null()]),
    failure: t.Union([t.Object({ code: t.String(), detail: t.String() }), t.Null()], {
      description: 'What ended the work, as problems say it.',
    }),
    verification: t.Union([VerificationSchema, t.Null()]),
    testRestore: t.Union([VerificationSchema, t.Null()]),
    restartRequired: t.Boolean({ description: 'It is ready to be put in place by the next start of the server.' }),
  },
  { title: 'Backup' },
);

/** A file in a user's backup. */
export const BackupFileSchema = t.Object(
  {
    id: t.String({ description: 'For `files` of a restore.' }),
    name: t.String(),
    size: Type.Integer({ description: 'Bytes.' }),
    sha256: t.String({ description: 'Lower-case hex.' }),
  },
  { title: 'BackupFile' },
);

export function toBackup(backup: BackupRecord): Static<typeof BackupSchema> {
  const { id, scope, operation, status, progress, note, isKept, bytes, fileCount, failure } = backup;
  return {
    id,
    scope,
    operation,
    status,
    progress,
    note,
    isKept,
    createdAt: new Date(backup.createdAt).toISOString(),
    finishedAt: backup.finishedAt === null ? null : new Date(backup.finishedAt).toISOString(),
    bytes,
    fileCount,
    failure,
    verification: toVerification(backup.verification),
    testRestore: toVerification(backup.testRestore),
    restartRequired: backup.isRestartRequired,
  };
}

export function toBackupFile({ fileId, name, size, sha256 }: BackupFile): Static<typeof BackupFileSchema> {
  return { id: fileId, name, size, sha256 };
}

function toVerification(found: BackupVerification | null): Static<typeof VerificationSchema> | null {
  if (!found) return null;
  const { tookMs, kind, isGood, findings } = found;
  return { at: new Date(found.at).toISOString(), tookMs, kind, isGood, findings: [...findings] };
}
