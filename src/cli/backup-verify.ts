import { parseArgs } from 'node:util';
import { withScratch } from '../backup-restore.ts';
import type { Check } from '../modules/backups/check.ts';
import type { JobOptions } from '../modules/backups/jobs.ts';
import type { Manifest } from '../modules/backups/manifest.ts';
import { type VerifyLevel, verify } from '../modules/backups/verify.ts';
import { locations } from '../paths.ts';
import { systemClock } from '../ports/clock.ts';
import { type BackupContext, findBackup, openBackups, SHARED, withProgress } from './backup-context.ts';
import { toTime } from './backup-progress.ts';
import { CommandError, print } from './command.ts';

const LEVELS = ['quick', 'share', 'full', 'test-restore'] as const;

/** `backup verify`: exit code 1 when anything is damaged; all of it is told. */
export async function verifyBackup(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      ...SHARED,
      quick: { type: 'boolean', default: false },
      share: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      'test-restore': { type: 'boolean', default: false },
    },
  });
  const chosen = LEVELS.filter((level) => values[level]);
  if (chosen.length > 1) throw new CommandError('say one of --quick, --share, --full and --test-restore');
  const level = chosen[0] ?? 'full';
  const context = await openBackups(process.env, values.identity);
  const manifest = await findBackup(context, positionals[0]);
  if (level === 'test-restore' && manifest.scope === 'user')
    throw new CommandError('the backup of one user cannot run as a system; verify it without --test-restore');
  const check = await withProgress(values.json, (on) =>
    level === 'test-restore' ? context.restores.test(manifest, on) : verifyObjects(context, manifest, level, on),
  );
  const { ok, findings, tookMs, restoredFiles, health } = check;
  print(values.json, check, () => [
    ...findings.map(({ code, message }) => `DAMAGED (${code}): ${message}`),
    ...(level === 'test-restore'
      ? [`a server on it says ${health}; ${restoredFiles} files came back as they were`]
      : []),
    `backup ${manifest.id}: ${ok ? 'ok' : `${findings.length} findings`} (${level}, ${toTime(tookMs)})`,
  ]);
  return ok ? 0 : 1;
}

function verifyObjects(
  { config, repository, store, images }: BackupContext,
  manifest: Manifest,
  level: VerifyLevel,
  on: JobOptions,
): Promise<Check> {
  return withScratch(locations(config).dataDir, (workDir) =>
    verify(manifest, { repository, store, images, clock: systemClock, workDir, level }, on),
  );
}
