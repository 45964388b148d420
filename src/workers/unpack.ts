/** A thread that unpacks files. */
import type { UnpackAnswer, UnpackRequest } from '../drivers/unpacking-threads.ts';
import { fileUnpacker } from '../modules/backups/unpack-file.ts';

if (!Bun.isMainThread) {
  const unpack = fileUnpacker();
  const answer = (message: UnpackAnswer) => postMessage(message);

  globalThis.onmessage = ({ data: { number, file, to } }: MessageEvent<UnpackRequest>) => {
    try {
      answer({ number, fault: unpack(file, to) });
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      answer({ number, error: { code, message } });
    }
  };
}
