import type { JobAnswer, JobMessage } from '../ports/child-pool.ts';

/** What a child of the pool does: it answers jobs that come over the channel of `Bun.spawn` until the channel closes. */
export function serveJobs<Job, Result>(work: (job: Job) => Promise<Result> | Result): void {
  const send = (answer: JobAnswer<Result>) => process.send?.(answer);
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ job }: JobMessage<Job>) => {
    try {
      send({ result: await work(job) });
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      send({ error: { message, stack } });
    }
  });
  send({ ready: true });
}
