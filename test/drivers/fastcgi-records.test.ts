import { describe, expect, test } from 'bun:test';
import {
  createRequestEncoder,
  encodeStdin,
  FastCgiFault,
  MAX_CONTENT_BYTES,
  OversizedParams,
  RecordDecoder,
} from '../../src/drivers/fastcgi-records.ts';
import type { PhpParams } from '../../src/ports/php-pool.ts';

interface Heard {
  stdout: string;
  stderr: string;
  ends: number[];
}

function listen(): { heard: Heard; decoder: RecordDecoder } {
  const heard: Heard = { stdout: '', stderr: '', ends: [] };
  const decoder = new RecordDecoder({
    onStdout: (bytes) => {
      heard.stdout += Buffer.from(bytes).toString('latin1');
    },
    onStderr: (bytes) => {
      heard.stderr += Buffer.from(bytes).toString('latin1');
    },
    onEnd: (status) => void heard.ends.push(status),
  });
  return { heard, decoder };
}

function record(type: number, content: Uint8Array, { id = 1, padding = 0, version = 1 } = {}): Buffer<ArrayBuffer> {
  const header = [version, type, id >> 8, id & 255, content.length >> 8, content.length & 255, padding, 0];
  return Buffer.concat([Buffer.from(header), content, Buffer.alloc(padding)]);
}

const END = record(3, Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]));

/** The same numbers for a seed, so that what fails once fails again. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The records of what an encoder wrote. */
function split(bytes: Buffer): { type: number; content: Buffer }[] {
  const records: { type: number; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 4);
    records.push({ type: bytes[at + 1] as number, content: bytes.subarray(at + 8, at + 8 + length) });
    at += 8 + length + (bytes[at + 6] as number);
  }
  return records;
}

/** The pairs of one PARAMS record, which must be whole. */
function pairsOf(content: Buffer): [string, string][] {
  const pairs: [string, string][] = [];
  let at = 0;
  const length = () => {
    const first = content[at] as number;
    if (first < 128) return content[at++] as number;
    const long = content.readUInt32BE(at) & 0x7fffffff;
    at += 4;
    return long;
  };
  while (at < content.length) {
    const [name, value] = [length(), length()];
    pairs.push([content.toString('latin1', at, at + name), content.toString('latin1', at + name, at + name + value)]);
    at += name + value;
  }
  expect(at).toBe(content.length);
  return pairs;
}

const OPTIONS = { keepAlive: true, hasBody: true };

const encodeRequest = (params: PhpParams, options: { keepAlive: boolean; hasBody: boolean }) =>
  createRequestEncoder()({ params, ...options });

describe('encoding a request', () => {
  test('keeps the connection, answers as a responder, and ends the parameters', () => {
    const [begin, params, end, ...more] = split(encodeRequest([['A', 'b']], OPTIONS));
    expect(begin).toEqual({ type: 1, content: Buffer.from([0, 1, 1, 0, 0, 0, 0, 0]) });
    expect(pairsOf(params?.content as Buffer)).toEqual([['A', 'b']]);
    expect([end?.type, end?.content.length, more.length]).toEqual([4, 0, 0]);
  });

  test('never lets a pair cross two records, whatever their sizes', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = createRandom(seed);
      const params: [string, string][] = Array.from({ length: 1 + random(40) }, (_, index) => [
        `NAME_${index}${'N'.repeat(random(3) === 0 ? random(300) : 0)}`,
        'v'.repeat(random(4) === 0 ? random(40_000) : random(200)),
      ]);
      if (params.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > 400_000) continue;
      const records = split(encodeRequest(params, OPTIONS));
      expect(records.slice(1).flatMap(({ content }) => pairsOf(content))).toEqual(params);
      expect(records.every(({ content }) => content.length <= MAX_CONTENT_BYTES)).toBe(true);
    }
  });

  test('puts lists that come again before the rest, whatever their sizes, and lets no pair cross two records', () => {
    const encode = createRequestEncoder();
    const list = (count: number, bytes: number): PhpParams =>
      Array.from({ length: count }, (_, index) => [`N${index}`, 'v'.repeat(bytes)] as const);
    // Half a record, a whole one, more than one, and nothing.
    const common = [list(3, 10_000), list(1, 65_000), list(9, 20_000), []];
    for (const params of [list(5, 100), list(2, 60_000)]) {
      const records = split(encode({ params, common, ...OPTIONS }));
      expect(records.slice(1).flatMap(({ content }) => pairsOf(content))).toEqual(
        [...common, params].flat().map(([name, value]) => [name, value]),
      );
      expect(records.filter(({ content }) => content.length === 0)).toHaveLength(1);
    }
  });

  test('writes characters as bytes', () => {
    const utf8 = Buffer.from('é', 'utf8').toString('latin1');
    const records = split(encodeRequest([['N', utf8]], { keepAlive: false, hasBody: true }));
    expect(records[1]?.content.subarray(-2)).toEqual(Buffer.from([0xc3, 0xa9]));
  });

  test('takes no parameter that is larger than a record, and not endlessly many', () => {
    expect(() => encodeRequest([['A', 'x'.repeat(65_600)]], OPTIONS)).toThrow(OversizedParams);
    const many = Array.from({ length: 40 }, (_, index): [string, string] => [`A${index}`, 'x'.repeat(60_000)]);
    expect(() => encodeRequest(many, OPTIONS)).toThrow(OversizedParams);
  });

  test('cuts a body into records', () => {
    const body = Buffer.alloc(200_000, 'ab');
    const records = split(encodeStdin(body));
    expect(records.map(({ type }) => type)).toEqual([5, 5, 5, 5]);
    expect(Buffer.concat(records.map(({ content }) => content)).equals(body)).toBe(true);
  });
});

describe('decoding an answer', () => {
  test('is the same however the bytes are cut', () => {
    const wire = Buffer.concat([
      record(6, Buffer.from('hello '), { padding: 2 }),
      record(7, Buffer.from('oops'), { padding: 255 }),
      record(6, Buffer.from('world')),
      record(6, Buffer.alloc(0)),
      END,
    ]);
    for (let seed = 1; seed <= 300; seed++) {
      const random = createRandom(seed);
      const { heard, decoder } = listen();
      for (let at = 0; at < wire.length; ) {
        const size = 1 + random(seed % 3 === 0 ? 1 : 40);
        decoder.push(wire.subarray(at, at + size));
        at += size;
      }
      expect(heard).toEqual({ stdout: 'hello world', stderr: 'oops', ends: [0] });
      expect(decoder.isBetweenRecords).toBe(true);
    }
  });

  test('of bytes that are no FastCGI ends in a fault or in nothing, and keeps nothing', () => {
    for (let seed = 1; seed <= 2_000; seed++) {
      const random = createRandom(seed);
      const bytes = Buffer.from(Array.from({ length: random(64) }, () => random(256)));
      // Often the beginning is right.
      if (random(2) === 0 && bytes.length > 8) bytes.set([1, 6, 0, 1], 0);
      const { heard, decoder } = listen();
      try {
        decoder.push(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FastCgiFault);
      }
      expect(heard.stdout.length + heard.stderr.length).toBeLessThanOrEqual(bytes.length);
    }
  });

  const nonsense: [string, Buffer<ArrayBuffer>][] = [
    ['another version', record(6, Buffer.from('x'), { version: 2 })],
    ['another request', record(6, Buffer.from('x'), { id: 2 })],
    ['an unknown type', record(42, Buffer.from('x'))],
    ['an end of a wrong size', record(3, Buffer.from('x'))],
  ];
  test.each(nonsense)('refuses %s', (_, bytes) => {
    expect(() => listen().decoder.push(bytes)).toThrow(FastCgiFault);
  });
});
