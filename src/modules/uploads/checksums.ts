import { createHash } from 'node:crypto';
import { crc32c } from './crc32c.ts';

/** What `Tus-Checksum-Algorithm` announces. */
export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256', 'crc32c'] as const;

/** What a client says of the bytes that it sends (`Upload-Checksum`). */
export interface ExpectedChecksum {
  readonly algorithm: (typeof CHECKSUM_ALGORITHMS)[number];
  /** Base64. */
  readonly value: string;
}

export interface RunningChecksum {
  update(chunk: Uint8Array): void;
  /** Whether what passed is what was expected. */
  matches(): boolean;
}

export function createChecksum({ algorithm, value }: ExpectedChecksum): RunningChecksum {
  const expected = Buffer.from(value, 'base64');
  if (algorithm !== 'crc32c') {
    const hash = createHash(algorithm);
    return { update: (chunk) => void hash.update(chunk), matches: () => hash.digest().equals(expected) };
  }
  let crc = 0;
  return {
    update(chunk) {
      crc = crc32c(chunk, crc);
    },
    matches() {
      const digest = Buffer.alloc(4);
      digest.writeInt32BE(crc);
      return digest.equals(expected);
    },
  };
}
