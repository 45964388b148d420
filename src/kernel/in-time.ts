/** Settles as `running` does, or rejects with what `late` makes when that takes longer. `running` is not ended by it. */
export async function inTime<T>(running: Promise<T>, ms: number, late: () => unknown): Promise<T> {
  const { promise: isLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms);
  try {
    return await Promise.race([running, isLate]);
  } finally {
    clearTimeout(timer);
  }
}
