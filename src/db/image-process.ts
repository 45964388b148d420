import { join } from 'node:path';
import { databaseProblems } from '../kernel/problems.ts';
import type { ImageReport } from '../ports/database-images.ts';
import type { ImageAnswer, ImageTask } from '../workers/database-image.ts';

const ENTRY = join(import.meta.dirname, '../workers/database-image.ts');

/**
 * Has a process of its own do one task, and waits for it.
 * @param signal kills it.
 * @throws `database/*` as the task did; `database/unavailable` when the process died.
 */
export async function runImageTask(task: ImageTask, signal?: AbortSignal): Promise<ImageReport | null> {
  signal?.throwIfAborted();
  let answer: ImageAnswer | null = null;
  const child = Bun.spawn([process.execPath, '--smol', ENTRY], {
    // SQLite sorts in files of its own where these say.
    env: pick(['PATH', 'HOME', 'TMPDIR', 'SQLITE_TMPDIR']),
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
    serialization: 'advanced',
    ipc(message: ImageAnswer) {
      answer = message;
    },
  });
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  try {
    child.send(task);
    await child.exited;
  } finally {
    signal?.removeEventListener('abort', kill);
  }
  signal?.throwIfAborted();
  return toReport(answer);
}

function toReport(answer: ImageAnswer | null): ImageReport | null {
  if (answer === null) throw databaseProblems.create('unavailable', { cause: new Error('the process died') });
  if ('done' in answer) return answer.done;
  const { code, reason } = answer.failed;
  const name = code?.replace(/^database\//, '') ?? 'unavailable';
  throw databaseProblems.create((name in databaseProblems.rows ? name : 'unavailable') as 'unavailable', {
    cause: new Error(reason),
  });
}

function pick(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
