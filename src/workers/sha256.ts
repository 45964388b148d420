import type { HashAnswer, HashRequest } from '../drivers/hash-thread.ts';

/** A thread that hashes, so that the event loop need not. */
if (!Bun.isMainThread) {
  const open = new Map<number, Bun.CryptoHasher>();
  const answer = (message: HashAnswer) => postMessage(message);

  globalThis.onmessage = ({ data }: MessageEvent<HashRequest>) => {
    if ('open' in data) open.set(data.open, new Bun.CryptoHasher('sha256'));
    else if ('block' in data) {
      open.get(data.block)?.update(data.bytes);
      answer({ hashed: data.block });
    } else if ('end' in data) {
      answer({ ended: data.end, sha256: open.get(data.end)?.digest('hex') ?? '' });
      open.delete(data.end);
    } else if ('copy' in data) {
      const copied = open.get(data.copy)?.copy();
      if (copied) open.set(data.to, copied);
    } else open.delete(data.drop);
  };
}
