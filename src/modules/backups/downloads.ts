import { backupProblems } from './problems.ts';

/** Downloads that run at once, and those of one caller: each is a process. */
const MAX_RUNNING = 4;
const MAX_OWN = 1;
/** Who takes nothing for so long is given up. */
const STALL_MS = 60_000;

/**
 * Opens streams that cost something as long as they are open: few at a time, and none that nobody reads. Resolves with the first bytes
 * at hand, so that what cannot begin is an answer and not half of one.
 * @throws backups/too-many-downloads, and what the stream fails with before its first byte.
 */
export function createDownloads(stallMs = STALL_MS) {
  const running = new Map<string, number>();

  return async (owner: string, open: () => ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>> => {
    const own = running.get(owner) ?? 0;
    const all = [...running.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MAX_OWN || all >= MAX_RUNNING)
      throw backupProblems.create('too-many-downloads', { retryAfterSeconds: 30 });
    running.set(owner, own + 1);
    let isOpen = true;
    const release = (): void => {
      if (!isOpen) return;
      isOpen = false;
      const left = (running.get(owner) ?? 1) - 1;
      if (left === 0) running.delete(owner);
      else running.set(owner, left);
    };
    try {
      const reader = open().getReader();
      return watched(reader, await reader.read(), release, stallMs);
    } catch (error) {
      release();
      throw error;
    }
  };
}

function watched(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  first: Awaited<ReturnType<typeof reader.read>>,
  release: () => void,
  stallMs: number,
): ReadableStream<Uint8Array> {
  let next: typeof first | null = first;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (): void => {
    clearTimeout(timer);
    release();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(timer);
        try {
          const { done, value } = next ?? (await reader.read());
          next = null;
          if (done) {
            end();
            controller.close();
            return;
          }
          controller.enqueue(value);
          timer = setTimeout(() => {
            end();
            reader.cancel().catch(() => undefined);
            controller.error(new Error('the download was not read any further'));
          }, stallMs);
        } catch (error) {
          end();
          throw error;
        }
      },
      cancel() {
        end();
        return reader.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}
