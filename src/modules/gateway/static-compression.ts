import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';
import { createSemaphore } from '../../kernel/semaphore.ts';
import type { Coding } from './static-encodings.ts';

/** Compresses off the event loop; `null` when it does not pay, `busy` when too much is waiting. */
export type Compress = (bytes: Uint8Array, coding: Coding) => Promise<Uint8Array<ArrayBuffer> | 'busy' | null>;

/** Where a file has become a third smaller, more effort wins a few per cent and costs the first visitor many times the wait. */
const BROTLI_QUALITY = 5;
const ZSTD_LEVEL = 6;
const GZIP_LEVEL = 6;
/** A result larger than this part of the original is not worth unpacking. */
const WORTH_IT = 0.95;
const AT_ONCE = 2;
const MAX_WAITING = 64;

const brotli = promisify(brotliCompress);
const zstd = promisify(zstdCompress);
const deflate = promisify(gzip);

export function createCompress(): Compress {
  const places = createSemaphore(AT_ONCE, MAX_WAITING);
  return async (bytes, coding) => {
    const result = await places.run(() => run(bytes, coding));
    if (result === null) return 'busy';
    if (result.byteLength > bytes.byteLength * WORTH_IT) return null;
    // A buffer of its own: what zlib gives may be a view into a larger one.
    return new Uint8Array(result);
  };
}

function run(bytes: Uint8Array, coding: Coding): Promise<Uint8Array> {
  switch (coding) {
    case 'br': {
      const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
      const params = { [BROTLI_PARAM_QUALITY]: BROTLI_QUALITY, [BROTLI_PARAM_SIZE_HINT]: bytes.byteLength };
      return brotli(bytes, { params });
    }
    case 'zstd':
      return zstd(bytes, { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
    case 'gzip':
      return deflate(bytes, { level: GZIP_LEVEL });
  }
}
