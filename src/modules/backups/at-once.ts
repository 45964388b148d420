/**
 * Works on items as they come, so many at once. After the first failure nothing more is begun; it is thrown when all that was
 * under way has ended.
 */
export async function atOnce<T>(
  items: AsyncIterable<T> | Iterable<T>,
  places: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let goOn = (): void => undefined;
  try {
    for await (const item of items) {
      if (failures.length > 0) break;
      const run = work(item)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => {
          running.delete(run);
          goOn();
        });
      running.add(run);
      if (running.size < places) continue;
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
}
