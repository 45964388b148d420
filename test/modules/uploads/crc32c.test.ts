import { expect, test } from 'bun:test';
import { crc32c } from '../../../src/modules/uploads/crc32c.ts';

/** RFC 3720, appendix B.4, and the check value of the CRC catalogues. */
const CASES = [
  { name: '32 bytes of zeroes', bytes: new Uint8Array(32), crc: 0x8a9136aa },
  { name: '32 bytes of ones', bytes: new Uint8Array(32).fill(0xff), crc: 0x62a8ab43 },
  { name: '32 bytes counting up', bytes: Uint8Array.from({ length: 32 }, (_, at) => at), crc: 0x46dd794e },
  { name: '32 bytes counting down', bytes: Uint8Array.from({ length: 32 }, (_, at) => 31 - at), crc: 0x113fdb5c },
  { name: 'the digits 1 to 9', bytes: new TextEncoder().encode('123456789'), crc: 0xe3069283 },
  { name: 'nothing', bytes: new Uint8Array(), crc: 0 },
];

test.each(CASES)('CRC-32C of $name, in one piece and in pieces of any size', ({ bytes, crc }) => {
  expect(crc32c(bytes) >>> 0).toBe(crc);
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))) >>> 0).toBe(crc);
  }
});
