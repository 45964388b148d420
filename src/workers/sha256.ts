import type { HashAnswer, HashRequest } from '../drivers/hash-thread.ts';

/** A thread that hashes, so that the event loop need not. */
if (!Bun.isMainThread) {
  const open = new Map<number, Bun.CryptoHasher>();
  let memory = new Uint8Array(new SharedArrayBuffer(0));
  const answer = (message: HashAnswer) => postMessage(message);

  globalThis.onmessage = ({ data }: MessageEvent<HashRequest>) => {
    if ('memory' in data) memory = new Uint8Array(data.memory);
    else if ('open' in data) open.set(data.open, new Bun.CryptoHasher('sha256'));
    else if ('block' in data) {
      open.get(data.block)?.update(memory.subarray(data.at, data.at + data.length));
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
