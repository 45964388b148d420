import { expect, test } from 'bun:test';
import type { ParseResult } from '../../../src/modules/parse/job.ts';
import { packResult, unpackResult } from '../../../src/modules/parse/packed-result.ts';

const RESULTS: readonly ParseResult[] = [
  { status: 'read', view: 'meta', members: new TextEncoder().encode('"result":"a\nb\u2028ü","warnings":[]') },
  { status: 'read', view: 'minify', members: new Uint8Array(0) },
  { status: 'refused', problem: 'too-deep' },
  { status: 'refused', problem: 'invalid-request', detail: 'a\nb', faults: [{ pointer: '/x', detail: '\n' }] },
];

for (const result of RESULTS) {
  test(`packs and unpacks ${JSON.stringify({ ...result, members: undefined })}`, () => {
    expect(unpackResult(packResult(result))).toEqual(result);
  });
}

test('packs so that nothing around an answer is kept with it', () => {
  const slab = new Uint8Array(100_000);
  const packed = packResult({ status: 'read', view: 'x', members: slab.subarray(10, 20) });
  expect(packed.buffer.byteLength).toBeLessThan(100);
});
