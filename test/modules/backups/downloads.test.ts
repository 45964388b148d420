import { describe, expect, test } from 'bun:test';
import { createDownloads } from '../../../src/modules/backups/downloads.ts';
import { backupProblems } from '../../../src/modules/backups/problems.ts';

/** A stream of so many bytes that tells when it was given up. */
function source(chunks: number) {
  const ended = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (chunks-- > 0) controller.enqueue(new Uint8Array(10));
        else controller.close();
      },
      cancel: () => ended.resolve(),
    },
    { highWaterMark: 0 },
  );
  return { stream, ended: ended.promise };
}
const codeOf = (opening: Promise<unknown>) =>
  opening.then(
    () => 'opened',
    (error: unknown) => (backupProblems.is(error, 'too-many-downloads') ? 'refused' : (error as Error).message),
  );

describe('downloads', () => {
  test('come whole, one at a time for each, and few at once', async () => {
    const open = createDownloads();
    const first = await open('a', () => source(3).stream);
    expect(await codeOf(open('a', () => source(1).stream))).toBe('refused');
    for (const owner of ['b', 'c', 'd']) await open(owner, () => source(1).stream);
    expect(await codeOf(open('e', () => source(1).stream))).toBe('refused');
    expect((await new Response(first).bytes()).length).toBe(30);
    expect(await codeOf(open('a', () => source(1).stream))).toBe('opened');
  });

  test('that cannot begin are an error at once, and take no place', async () => {
    const open = createDownloads();
    const broken = () =>
      new ReadableStream<Uint8Array>({
        pull() {
          throw new Error('no key');
        },
      });
    for (let time = 0; time < 6; time++) expect(await codeOf(open('a', broken))).toBe('no key');
  });

  test('that nobody reads are given up, and their place is free', async () => {
    const open = createDownloads(5);
    const { stream, ended } = source(1000);
    const reader = (await open('a', () => stream)).getReader();
    await reader.read();
    await ended;
    expect(await codeOf(reader.read())).toContain('not read');
    expect(await codeOf(open('a', () => source(1).stream))).toBe('opened');
  });

  test('that are cancelled free their place', async () => {
    const open = createDownloads();
    const { stream, ended } = source(1000);
    await (await open('a', () => stream)).cancel();
    await ended;
    expect(await codeOf(open('a', () => source(1).stream))).toBe('opened');
  });
});
