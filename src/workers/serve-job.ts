import type { FromJobProcess, JobFailure, ToJobProcess } from '../drivers/job-process.ts';
import { AppError } from '../kernel/errors.ts';

export interface ServedJob<Progress> {
  readonly onProgress: (progress: Progress) => void;
  /** Asks the one who ordered the job whether it may go on to what cannot be undone. */
  readonly ask: () => Promise<boolean>;
}

/** What the process of one job does: it works on the order that comes over its channel, answers, and ends. Ends when the channel closes. */
export function serveJob<Order, Progress, Result>(
  work: (order: Order, job: ServedJob<Progress>) => Promise<Result>,
): void {
  const asked = new Map<number, (answer: boolean) => void>();
  const send = (message: FromJobProcess<Progress, Result>) => process.send?.(message);
  const job: ServedJob<Progress> = {
    onProgress: (progress) => send({ progress }),
    ask: () =>
      new Promise((resolve) => {
        const number = asked.size;
        asked.set(number, resolve);
        send({ ask: number });
      }),
  };
  process.on('disconnect', () => process.exit(0));
  process.on('message', async (message: ToJobProcess<Order>) => {
    if ('to' in message) {
      asked.get(message.to)?.(message.answer);
      return;
    }
    send(
      await work(message.order, job).then(
        (result) => ({ result }),
        (error: unknown) => ({ failure: toFailure(error) }),
      ),
    );
    process.disconnect?.();
  });
  send({ ready: true });
}

function toFailure(error: unknown): JobFailure {
  if (error instanceof AppError) {
    const { code, detail, retryAfterSeconds, stack } = error;
    return { code, detail, retryAfterSeconds, stack: withCauses(error) ?? stack };
  }
  return { code: null, detail: '', retryAfterSeconds: undefined, stack: withCauses(error) };
}

function withCauses(error: unknown): string | undefined {
  const stacks: string[] = [];
  for (let current = error; current instanceof Error; current = current.cause)
    stacks.push(current.stack ?? current.message);
  return stacks.length > 0 ? stacks.join('\ncaused by: ') : String(error);
}
