import { storageProblems } from '../kernel/problems.ts';

/**
 * What makes everything durable that was written to the file system of a directory, once for any number of files (syncfs(2), by the
 * `sync` of GNU coreutils, BusyBox or uutils); `null` where no command does it. It fails when anything could not be written.
 */
export function fileSystemFlush(directory: string): (() => Promise<void>) | null {
  const command = process.platform === 'linux' ? Bun.which('sync') : null;
  if (command === null) return null;
  return async () => {
    const { exited } = Bun.spawn([command, '-f', directory], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });
    const code = await exited;
    if (code !== 0) throw storageProblems.create('unavailable', { cause: new Error(`sync ended with ${code}`) });
  };
}
