import { open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** In this time SQLite writes some 5 MB. */
const EVERY_MS = 20;

/**
 * Has a file written to the disk bit by bit while another process fills it. Left to the end, or to the kernel, gigabytes would go to the
 * disk at once, and the commits of a server on the same disk would wait behind them.
 * @returns the result of the work. A flush that fails is nobody's matter here: whoever writes the file is told as well.
 */
export async function withWriteback<T>(path: string, work: Promise<T>, flush = flushFile): Promise<T> {
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  // It is awaited below.
  ended.catch(() => undefined);
  while (!isOver) {
    await flush(path).catch(() => undefined);
    await Promise.race([pause(EVERY_MS), ended.catch(() => undefined)]);
  }
  return ended;
}

async function flushFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}
