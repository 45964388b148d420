import { parseArgs } from 'node:util';
import type { Check } from '../modules/backups/check.ts';
import type { Manifest } from '../modules/backups/manifest.ts';
import { findBackup, openBackups, SHARED } from './backup-context.ts';
import { toSize, toTime } from './backup-progress.ts';
import { print, table } from './command.ts';

/** `backup list`: every backup in the repository, and what of it cannot be read. Exit code 1 when there is such. */
export async function listBackups(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: SHARED });
  const { repository } = await openBackups(process.env, values.identity);
  const [{ manifests, broken }, checks] = await Promise.all([repository.snapshots(), repository.checks()]);
  const items = manifests.map((manifest) => toItem(manifest, checks));
  print(values.json, { items, broken }, () =>
    items.length + broken.length === 0
      ? [`there are no backups at ${repository.place}`]
      : table([
          ['id', 'taken', 'scope', 'files', 'bytes', 'proven', 'note'],
          ...items.map(({ id, createdAt, scope, files, bytes, lastCheck, note }) => [
            id,
            createdAt.slice(0, 19).replace('T', ' '),
            scope,
            String(files),
            toSize(bytes),
            lastCheck === null ? 'never' : `${lastCheck.kind} ${lastCheck.ok ? 'ok' : 'DAMAGED'}`,
            note,
          ]),
          ...broken.map(({ key, reason }) => [key, '', '', '', '', 'BROKEN', reason]),
        ]),
  );
  return broken.length === 0 ? 0 : 1;
}

/** `backup show`: one backup and every check of it. */
export async function showBackup(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options: SHARED, allowPositionals: true });
  const context = await openBackups(process.env, values.identity);
  const manifest = await findBackup(context, positionals[0]);
  const checks = (await context.repository.checks()).filter(({ snapshot }) => snapshot === manifest.id);
  const isReadable = context.repository.canRead(manifest);
  print(values.json, { ...manifest, isReadable, checks }, () => [
    `${manifest.id}  ${manifest.scope}${manifest.userId === null ? '' : ` of ${manifest.userId}`}  ${manifest.note}`,
    `taken ${manifest.createdAt} by version ${manifest.program} in ${toTime(manifest.tookMs)}`,
    `encryption ${manifest.recipient === null ? 'none' : `to ${manifest.recipient}`}; ${isReadable ? 'can' : 'cannot'} be read with the keys at hand`,
    `secret of the installation: ${SECRETS[manifest.secret]}`,
    ...manifest.databases.map(({ name, image, tables, migrations }) => {
      const rows = Object.values(tables).reduce((sum, count) => sum + count, 0);
      return `database ${name}: ${toSize(image.bytes)}, ${rows} rows, last migration ${migrations.at(-1) ?? 'none'}`;
    }),
    `files: ${manifest.blobs.count} contents, ${toSize(manifest.blobs.bytes)}`,
    ...manifest.damaged.map(({ fileId, reason }) => `file ${fileId} was ${reason} when the backup was taken`),
    ...checks.flatMap(({ kind, startedAt, tookMs, ok, findings }) => [
      `checked (${kind}) ${startedAt} in ${toTime(tookMs)}: ${ok ? 'ok' : 'DAMAGED'}`,
      ...findings.map(({ message }) => `  ${message}`),
    ]),
  ]);
  return 0;
}

const SECRETS: Readonly<Record<Manifest['secret'], string>> = {
  included: 'in the backup',
  'set-by-hand': 'was set by its operator and is not in the backup',
  none: 'not in a backup of this kind',
};

function toItem(manifest: Manifest, checks: readonly Check[]) {
  const { id, scope, userId, note, createdAt, program, recipient, databases, blobs } = manifest;
  // What was only written says nothing beyond that it was.
  const last = checks.find(({ snapshot, kind }) => snapshot === id && kind !== 'write') ?? null;
  return {
    id,
    scope,
    userId,
    note,
    createdAt,
    program,
    isEncrypted: recipient !== null,
    files: blobs.count,
    bytes: databases.reduce((sum, { image }) => sum + image.bytes, blobs.bytes),
    damagedFiles: manifest.damaged.length,
    lastCheck: last && { kind: last.kind, startedAt: last.startedAt, tookMs: last.tookMs, ok: last.ok },
  };
}
