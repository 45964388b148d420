import { existsSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import type { SystemRestoreReport } from '../backup-restore.ts';
import type { Config } from '../config/load.ts';
import type { Manifest } from '../modules/backups/manifest.ts';
import { withdrawPendingRestore } from '../modules/backups/pending-restore.ts';
import type { RestorePlan } from '../modules/backups/restore-plan.ts';
import { databaseLocations, locations } from '../paths.ts';
import { findBackup, openBackups, SHARED, withProgress } from './backup-context.ts';
import { restoreFiles } from './backup-files.ts';
import { toSize, toTime } from './backup-progress.ts';
import { withProtection } from './backup-protection.ts';
import { CommandError, print } from './command.ts';

const OPTIONS = {
  ...SHARED,
  to: { type: 'string' },
  database: { type: 'string' },
  user: { type: 'string' },
  file: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  'end-sessions': { type: 'boolean', default: false },
  'accept-loss': { type: 'boolean', default: false },
  cancel: { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
} as const;

/** `backup restore`: the whole system, one database, or files of a user. */
export async function restoreBackup(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true });
  const { to, database, user, file, json, yes } = values;
  const context = await openBackups(process.env, values.identity);
  const { config, restores } = context;
  if (values.cancel) return cancel(config, json);
  const manifest = await findBackup(context, positionals[0]);

  if (user !== undefined || file !== undefined || manifest.scope === 'user') {
    if (to !== undefined || database !== undefined)
      throw new CommandError('files are put back where they were: --to and --database do not go with them');
    return restoreFiles(context, manifest, { user, fileId: file, isDryRun: values['dry-run'], asJson: json });
  }

  if (database !== undefined && to !== undefined && !isDirectory(to)) {
    if (values['dry-run']) throw new CommandError('--dry-run goes with a restore into place');
    const bytes = await withProgress(json, (on) => restores.writeDatabase(manifest, database, to, on));
    print(json, { snapshot: manifest.id, database, path: to, bytes }, () => [
      `wrote ${database} to ${to} (${toSize(bytes)})`,
    ]);
    return 0;
  }

  const order = {
    manifest,
    database,
    directory: to,
    endsSessions: values['end-sessions'],
    acceptsLoss: values['accept-loss'],
  };
  const isReplacing = to === undefined && databaseLocations(config).some(hasFile);
  if (isReplacing && !yes && !values['dry-run'] && !process.stdin.isTTY)
    throw new CommandError('there is data here already: say --yes to replace it, or --to DIR');
  if (values['dry-run'] || (isReplacing && !yes)) {
    const plan = await withProgress(json, (on) => restores.plan(order, on));
    if (values['dry-run']) {
      print(json, plan, () => describePlan(plan));
      return 0;
    }
    await confirm(describePlan(plan));
  }
  const report = await withProgress(json, (on) =>
    to === undefined
      ? withProtection(config, on.signal, (assertProtected, signal) =>
          restores.restore(order, assertProtected, { ...on, signal }),
        )
      : restores.restore(order, async () => undefined, on),
  );
  const notes = findNotes(config, manifest, report, to);
  print(json, { ...report, notes }, () => [...describeReport(report), ...notes]);
  return 0;
}

function cancel(config: Config, asJson: boolean): number {
  const isCancelled = withdrawPendingRestore(locations(config).dataDir);
  print(asJson, { cancelled: isCancelled }, () => [isCancelled ? 'the restore was given up' : 'no restore is waiting']);
  return 0;
}

async function confirm(lines: readonly string[]): Promise<void> {
  process.stderr.write(`${lines.join('\n')}\n`);
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question('The data as it is now is kept beside. Replace it at the next start? [y/N] ');
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was changed');
  } finally {
    reader.close();
  }
}

function describePlan({ snapshot, createdAt, program, databases, migrations, files }: RestorePlan): string[] {
  return [
    `backup ${snapshot}, taken ${createdAt} by version ${program}`,
    ...databases.flatMap(({ name, path, bytes, changes }) => [
      `database ${name}: ${toSize(bytes)} to ${path ?? 'a file only: it is not in a file of this machine (--database, --to FILE)'}`,
      ...changes.map(
        ({ table, rowsNow, rowsThen }) => `  ${table}: ${rowsNow ?? 'no'} rows now, ${rowsThen ?? 'no'} then`,
      ),
    ]),
    ...(migrations.length > 0 ? [`migrations that will be applied: ${migrations.join(', ')}`] : []),
    ...(files
      ? [
          `files: ${files.count} (${toSize(files.bytes)}), of which ${files.missing.count} (${toSize(files.missing.bytes)}) have to be put back`,
          ...(files.lost > 0 ? [`files that were lost before the backup was taken: ${files.lost}`] : []),
        ]
      : []),
  ];
}

function describeReport({
  snapshot,
  databases,
  files,
  lost,
  migrations,
  tookMs,
  isInPlace,
}: SystemRestoreReport): string[] {
  return [
    ...databases.map(({ name, path, bytes, rows }) => `database ${name}: ${rows} rows, ${toSize(bytes)}, ${path}`),
    `files: ${files.put} put back (${toSize(files.putBytes)}), ${files.kept} were there`,
    ...lost.map(({ fileId, detail }) => `LOST: file ${fileId}: ${detail}`),
    ...(migrations.length > 0 ? [`migrations applied: ${migrations.join(', ')}`] : []),
    isInPlace
      ? `backup ${snapshot} is restored and checked, in ${toTime(tookMs)}`
      : `backup ${snapshot} is ready and checked, in ${toTime(tookMs)}: restart the server, and it is put in place; what is there now is kept`,
  ];
}

/** What the operator has to do besides. */
function findNotes(config: Config, manifest: Manifest, report: SystemRestoreReport, to: string | undefined): string[] {
  const notes: string[] = [];
  if (report.secret === 'set-by-hand' && config.secret === undefined) {
    notes.push(
      'BUNKHOUSE_SECRET was set by hand and is not in the backup: set it to what it was, else every login and link ends',
    );
  }
  if (report.secret === 'included' && config.secret !== undefined) {
    notes.push(
      'BUNKHOUSE_SECRET is set here, and counts before the secret of the backup: unset it, else every login and link ends',
    );
  }
  const known = new Set(databaseLocations(config).map(({ name }) => name));
  for (const { name, path } of report.databases) {
    if (name === 'main' || (to === undefined && known.has(name))) continue;
    notes.push(`the database ${name} needs DATABASE_${name.toUpperCase()}_URL=file:${path}`);
  }
  const before = manifest.damaged.length;
  if (before > 0) notes.push(`${before} files had lost their content before the backup was taken`);
  return notes;
}

function hasFile(location: ReturnType<typeof databaseLocations>[number]): boolean {
  return location.kind === 'file' && existsSync(location.path);
}

function isDirectory(path: string): boolean {
  return path.endsWith('/') || (existsSync(path) && statSync(path).isDirectory());
}
