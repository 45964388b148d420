import { exchangeFile } from '../drivers/exchange-file.ts';
import type { JobAnswer, JobMessage } from '../ports/child-pool.ts';

/** Where a child has the file that it shares with its parent. */
export const EXCHANGE_FD = 3;

/** What a child of the pool does: it answers jobs that come over the channel of `Bun.spawn` until the channel closes. */
export function serveJobs<Job, Result>(work: (job: Job) => Promise<Result> | Result): void {
  const file = exchangeFile(EXCHANGE_FD);
  const send = (answer: JobAnswer<Result>) => process.send?.(answer);
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ job, blocks }: JobMessage<Job>) => {
    try {
      const result = await work(blocks ? await file.take(job, blocks) : job);
      const answer = blocks ? await file.put(result) : { message: result, blocks: [] };
      send({ result: answer.message, blocks: answer.blocks });
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      send({ error: { message, stack } });
    }
  });
  send({ ready: true });
}
