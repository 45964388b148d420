/**
 * Work that many ask for at once and that one run does for all: flushing a file, for example. Whoever asks is answered by a run
 * that began after they asked, and those who wait meanwhile share it.
 */
export function sharedRun<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  let next: Promise<T> | null = null;

  const start = () => {
    running = work().finally(() => {
      running = null;
    });
    return running;
  };
  return () => {
    if (!running) return start();
    // The run under way may have begun before what the caller did.
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = null;
        return start();
      });
    return next;
  };
}
