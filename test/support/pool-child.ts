import { serveJobs } from '../../src/workers/serve-jobs.ts';

/** What the child of a test is told to do. */
export type PoolJob =
  | { readonly echo: unknown }
  | { readonly back: Uint8Array; readonly part: Uint8Array; readonly text: string }
  | { readonly throws: string }
  | { readonly crash: true }
  | { readonly spin: true }
  | { readonly eat: true }
  | { readonly pid: true }
  | { readonly environment: true };

serveJobs<PoolJob, unknown>(async (job) => {
  if ('echo' in job) return job.echo;
  if ('back' in job) return job;
  if ('throws' in job) throw new Error(job.throws);
  if ('pid' in job) return process.pid;
  if ('environment' in job) return Object.keys(process.env);
  if ('crash' in job) process.kill(process.pid, 'SIGSEGV');
  const eaten: Uint8Array[] = [];
  for (;;) {
    if ('eat' in job) {
      eaten.push(new Uint8Array(8 * 1024 * 1024).fill(1));
      await Bun.sleep(1);
    }
  }
});
