import { inTime } from '../kernel/in-time.ts';

/**
 * The same stream; calls back once when it has ended, however it ends.
 *
 * @param silenceMs how long the source, when it is asked for more, may say nothing until it is given up. Default: for ever.
 */
export function tellEnd<T>(source: ReadableStream<T>, onEnd: () => void, silenceMs?: number): ReadableStream<T> {
  const reader = source.getReader();
  let hasEnded = false;
  const end = () => {
    if (!hasEnded) onEnd();
    hasEnded = true;
  };
  const read = async () => {
    if (silenceMs === undefined) return reader.read();
    return inTime(reader.read(), silenceMs, () => new Error('the source fell silent'));
  };
  return new ReadableStream<T>({
    async pull(controller) {
      try {
        const { done, value } = await read();
        if (!done) return controller.enqueue(value);
        end();
        controller.close();
      } catch (error) {
        end();
        controller.error(error);
        // Not before: a source that is cancelled while it is read looks as if it had come to its end.
        reader.cancel(error).catch(() => undefined);
      }
    },
    cancel(reason) {
      end();
      return reader.cancel(reason);
    },
  });
}
