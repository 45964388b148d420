import { open } from 'node:fs/promises';

/** Most that is read of it at a time. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads what php-fpm has added to its slow log: one entry for each script that ran for too long, with the lines it stood at.
 * @returns gives the new entries at each call; never rejects.
 */
export function followSlowlog(file: string): () => Promise<string[]> {
  let position = 0;
  return async () => {
    const handle = await open(file, 'r').catch(() => null);
    if (!handle) return [];
    try {
      const { size } = await handle.stat();
      if (size < position) position = 0;
      if (size === position) return [];
      const bytes = Buffer.alloc(Math.min(size - position, MAX_BYTES));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, position);
      const text = bytes.toString('utf8', 0, bytesRead);
      // The last entry may still be being written, unless it alone fills what is read at a time.
      const end = text.lastIndexOf('\n\n');
      const whole = end > 0 || bytesRead < MAX_BYTES ? text.slice(0, text.endsWith('\n') ? undefined : end + 1) : text;
      position += Buffer.byteLength(whole);
      return whole.split(/\n{2,}/).flatMap((entry) => entry.trim() || []);
    } catch {
      return [];
    } finally {
      await handle.close();
    }
  };
}
