import { parseArgs } from 'node:util';
import { prune } from '../modules/backups/sweep.ts';
import { systemClock } from '../ports/clock.ts';
import { openBackups, SHARED, withProgress } from './backup-context.ts';
import { toSize } from './backup-progress.ts';
import { print } from './command.ts';

/** `backup prune`: forgets what `BACKUP_KEEP` lets go, and frees what nothing needs any more. */
export async function pruneBackups(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { ...SHARED, 'dry-run': { type: 'boolean', default: false } } });
  const { config, repository, store } = await openBackups(process.env, values.identity);
  const isDryRun = values['dry-run'];
  const pruned = await withProgress(values.json, ({ onProgress, signal }) =>
    prune({
      repository,
      store,
      clock: systemClock,
      keep: config.backupKeep,
      isDryRun,
      signal,
      onProgress: (fraction) => onProgress?.({ phase: 'pruning', done: 0, total: 0, fraction }),
    }),
  );
  const { swept, waiting, heldBack } = pruned;
  const keep = pruned.keep.map(({ manifest: { id, createdAt, scope }, reasons }) => ({
    id,
    createdAt,
    scope,
    reasons,
  }));
  const forget = pruned.forget.map(({ id, createdAt, scope }) => ({ id, createdAt, scope }));
  print(values.json, { keep, forget, swept, waiting, heldBack, isDryRun }, () => [
    ...keep.map(({ id, createdAt, reasons }) => `keep    ${id}  ${createdAt}  ${reasons.join(', ')}`),
    ...forget.map(({ id, createdAt }) => `${isDryRun ? 'would forget' : 'forgot'}  ${id}  ${createdAt}`),
    `${isDryRun ? 'would be freed' : 'freed'}: ${swept.objects} objects, ${toSize(swept.bytes)}; a later run may free ${waiting.objects}, ${toSize(waiting.bytes)}`,
    ...(heldBack === null ? [] : [heldBack]),
  ]);
  return heldBack === null ? 0 : 1;
}
