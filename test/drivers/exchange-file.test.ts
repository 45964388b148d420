import { afterEach, describe, expect, test } from 'bun:test';
import { fstatSync, ftruncateSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createExchangeFile, type ExchangeFile } from '../../src/drivers/exchange-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'exchange-'));
const files: ExchangeFile[] = [];

function open(): ExchangeFile {
  const file = createExchangeFile(directory) as ExchangeFile;
  files.push(file);
  return file;
}

const large = (size: number, seed: number) => new Uint8Array(size).map((_, index) => index * seed);

afterEach(() => {
  for (const file of files.splice(0)) file.close();
});
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

describe('a file that two processes share', () => {
  test('carries the large bytes of a message and leaves the rest', async () => {
    const file = open();
    const sent = { one: large(9_000_001, 7), small: large(10, 3), two: large(40_000, 5), text: 'x', none: null };
    const { message, blocks } = await file.put(sent);
    expect(blocks).toEqual([
      ['one', 9_000_001],
      ['two', 40_000],
    ]);
    expect(message as object).toEqual({ small: sent.small, text: 'x', none: null });
    expect(Object.keys(sent)).toHaveLength(5);
    const got = await file.take(message, blocks);
    expect(Bun.deepEquals(got, sent, true)).toBe(true);
  });

  test('carries a part of a larger buffer, and nothing around it', async () => {
    const file = open();
    const part = large(100_000, 11).subarray(10_000, 60_000);
    const { message, blocks } = await file.put({ part });
    const got = await file.take(message, blocks);
    expect(got.part.buffer.byteLength).toBe(50_000);
    expect(Buffer.compare(got.part, part)).toBe(0);
  });

  test('is empty when much was read, and keeps its room after little', async () => {
    const file = open();
    const carry = async (bytes: Uint8Array) => {
      const { message, blocks } = await file.put({ bytes });
      return (await file.take(message, blocks)).bytes;
    };
    await carry(large(5_000_000, 3));
    expect(fstatSync(file.fd).size).toBe(0);
    await carry(large(100_000, 5));
    expect(fstatSync(file.fd).size).toBe(100_000);
    expect(Buffer.compare(await carry(large(50_000, 7)), large(50_000, 7))).toBe(0);
  });

  test('leaves what it cannot carry as it is', async () => {
    const file = open();
    for (const message of [undefined, null, 'text', 7, [large(50_000, 1)], large(50_000, 1), { nested: { a: 1 } }]) {
      const { message: left, blocks } = await file.put(message);
      expect(left).toBe(message as never);
      expect(blocks).toEqual([]);
    }
  });

  test('does not wait for bytes that never come', async () => {
    const file = open();
    const { message, blocks } = await file.put({ bytes: large(100_000, 3) });
    ftruncateSync(file.fd, 50_000);
    const failure = await file.take(message, blocks).then(String, String);
    expect(failure).toContain('ends too early');
  });

  test('touches nothing after it was closed, not even halfway', async () => {
    const file = open();
    const putting = file.put({ bytes: large(9_000_000, 3) });
    file.close();
    // Somebody else's file has the number now.
    const next = createExchangeFile(directory) as ExchangeFile;
    files.push(next);
    expect(next.fd).toBe(file.fd);
    expect((await putting).blocks).toEqual([]);
    expect(fstatSync(next.fd).size).toBe(0);
  });

  test('has no name, and none is made where nothing can be written', () => {
    open();
    expect(readdirSync(directory)).toEqual([]);
    expect(createExchangeFile(join(directory, 'missing'))).toBeNull();
  });

  test('is never on a disk unless somebody says so: without memory for it there is none', async () => {
    const script = `
      import { mock } from 'bun:test';
      import * as fs from 'node:fs';
      const { openSync } = fs;
      const opened = [];
      mock.module('node:fs', () => ({
        ...fs,
        openSync(path, ...rest) {
          opened.push(String(path).slice(0, 9));
          if (String(path).startsWith('/dev/shm/')) throw new Error('read-only');
          return openSync(path, ...rest);
        },
      }));
      const { createExchangeFile } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/drivers/exchange-file.ts'))});
      console.log(JSON.stringify([createExchangeFile(), opened]));
    `;
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'inherit' });
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual([null, ['/dev/shm/']]);
  });
});
