/** A thread that unpacks files, and answers when it has done all that one message asked for. */
import type { UnpackAnswer, UnpackRequest } from '../drivers/unpacking-threads.ts';
import { fileUnpacker } from '../modules/backups/unpack-file.ts';

if (!Bun.isMainThread) {
  const unpack = fileUnpacker();
  const answer = ({ file, to }: UnpackRequest): UnpackAnswer => {
    try {
      return { fault: unpack(file, to) };
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      return { error: { code, message } };
    }
  };

  globalThis.onmessage = ({ data }: MessageEvent<readonly UnpackRequest[]>) => {
    postMessage(data.map(answer));
  };
}
