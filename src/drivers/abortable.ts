/**
 * The same chunks, ending with the signal's reason as soon as it is aborted, even while the source is silent. The source
 * is told to stop but not waited for.
 */
export function abortable(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  if (!signal) return body;
  return {
    [Symbol.asyncIterator]() {
      const source = body[Symbol.asyncIterator]();
      let rejectPending: (reason: unknown) => void = () => undefined;
      const stop = async (): Promise<IteratorReturnResult<undefined>> => {
        signal.removeEventListener('abort', onAbort);
        Promise.resolve(source.return?.()).catch(() => undefined);
        return { done: true, value: undefined };
      };
      const onAbort = () => {
        void stop();
        rejectPending(signal.reason);
      };
      signal.addEventListener('abort', onAbort);
      return {
        next: () =>
          new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
            if (signal.aborted) return reject(signal.reason);
            rejectPending = reject;
            source.next().then((result) => {
              if (result.done) signal.removeEventListener('abort', onAbort);
              resolve(result);
            }, reject);
          }),
        return: stop,
      };
    },
  };
}
