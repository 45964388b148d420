/** A process that does one job on backups and ends. */
import { openBackupEngine } from '../backup-engine.ts';
import type { BackupOrder } from '../backup-jobs.ts';
import { silentLog } from '../cli/silent-log.ts';
import type { BackupJobResult, JobProgress } from '../modules/backups/jobs.ts';
import { serveJob } from './serve-job.ts';

serveJob<BackupOrder, JobProgress, BackupJobResult>(async ({ job, config, secret }, { onProgress, ask }) => {
  const engine = await openBackupEngine({ config, secret, log: silentLog });
  switch (job.kind) {
    case 'create':
    case 'import':
      return engine.create(job, { onProgress, guard: { isHeld: ask } });
    case 'verify':
      return engine.verify(job, { onProgress });
    case 'restore':
      await engine.restore(job, { onProgress, guard: { isHeld: ask } });
      return null;
    case 'prune':
      return engine.prune({ onProgress });
    case 'archive':
      for await (const chunk of await engine.archive(job)) await written(chunk);
      return null;
  }
});

/** Hands bytes to whoever reads our output, at their pace. */
function written(chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}
