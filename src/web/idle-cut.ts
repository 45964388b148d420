import { connectionOf } from './context.ts';

/** Runs `work` without the server's idle cut, because it watches for stalls itself; the cut is there again when it is done. */
export async function withoutIdleCut<T>(request: Request, work: () => Promise<T> | T): Promise<T> {
  const connection = connectionOf(request);
  connection.keepOpen();
  try {
    return await work();
  } finally {
    connection.cutWhenIdle();
  }
}
