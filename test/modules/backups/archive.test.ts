import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTar, type TarEntry } from 'modern-tar';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { type ArchiveIndex, archivePath, readArchive, writeArchive } from '../../../src/modules/backups/archive.ts';
import { backupProblems } from '../../../src/modules/backups/problems.ts';

const AT = '2026-01-23T03:00:00.000Z';
const entryOf = (name: string, content: string) => {
  const id = uuidv7();
  const sha256 = createHash('sha256').update(content).digest('hex');
  const file = { path: archivePath(id, name), id, name, size: Buffer.byteLength(content), type: 'text/plain', sha256 };
  return { ...file, visibility: 'private', createdAt: AT, updatedAt: AT } as const;
};
const indexOf = (files: ArchiveIndex['files']): ArchiveIndex => ({
  format: 1,
  kind: 'bunkhouse-user-backup',
  createdAt: AT,
  account: { email: 'alice@example.org', name: 'Alice', createdAt: AT },
  files,
});
const packedIndex = (index: unknown): TarEntry => {
  const body = JSON.stringify(index);
  return { header: { name: 'bunkhouse-backup.json', size: Buffer.byteLength(body), type: 'file' }, body };
};
const asFile = (name: string, body: string): TarEntry => ({
  header: { name, size: Buffer.byteLength(body), type: 'file' },
  body,
});
const read = async (bytes: Uint8Array) => {
  const found = new Map<string, string>();
  // In pieces that respect nothing, as they come over a network.
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 700) controller.enqueue(bytes.slice(at, at + 700));
      controller.close();
    },
  });
  await readArchive(
    stream,
    () => undefined,
    async ({ name }, body) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      found.set(name, Buffer.concat(chunks).toString());
    },
  );
  return found;
};
const refusalOf = (bytes: Uint8Array) =>
  read(bytes).then(
    () => 'taken',
    (error: unknown) => {
      if (!backupProblems.is(error, 'refused-archive')) throw error;
      return error.detail;
    },
  );

const CONTENTS = new Map([
  ['a.txt', 'one'],
  ['empty', ''],
  ['../../etc/passwd', 'not there'],
  ['.hidden', 'dot'],
  [`${'ä'.repeat(120)} "quoted" <and> 😀.txt`, 'x'.repeat(5000)],
]);

describe('an archive', () => {
  const files = [...CONTENTS].map(([name, content]) => entryOf(name, content));
  const write = () =>
    writeArchive(indexOf(files), async function* ({ name }) {
      yield new TextEncoder().encode(CONTENTS.get(name));
    });

  test('gives back what went in, by any name', async () => {
    expect(await read(await new Response(write()).bytes())).toEqual(CONTENTS);
  });

  test('is unpacked by tar, and nothing of it lands elsewhere', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-archive-'));
    await Bun.write(join(directory, 'backup.tar'), await new Response(write()).bytes());
    const { exitCode, stderr } = Bun.spawnSync(['tar', '-xf', 'backup.tar'], { cwd: directory });
    expect([exitCode, stderr.toString()]).toEqual([0, '']);
    for (const { path, name } of files)
      expect(await Bun.file(join(directory, path)).text()).toBe(CONTENTS.get(name) as string);
    await rm(directory, { recursive: true });
  });

  test('fails as a stream when a file has another size than its index says', async () => {
    const stream = writeArchive(indexOf(files), async function* () {
      yield new Uint8Array(1);
    });
    const outcome = await new Response(stream).bytes().then(
      () => 'whole',
      () => 'failed',
    );
    expect(outcome).toBe('failed');
  });
});

describe('is refused', () => {
  const file = entryOf('a.txt', 'one');
  const good = [packedIndex(indexOf([file])), asFile(file.path, 'one')];
  const other = { ...file, name: 'b.txt', path: archivePath(file.id, 'b.txt') };
  const link = (type: 'symlink' | 'link'): TarEntry => ({
    header: { name: file.path, size: 0, type, linkname: '/etc/passwd' },
  });
  const cases: Record<string, readonly TarEntry[]> = {
    'an empty tar': [],
    'one without an index': [asFile(file.path, 'one')],
    'one whose index is a link': [
      { header: { name: 'bunkhouse-backup.json', size: 0, type: 'symlink', linkname: '/etc/passwd' } },
    ],
    'an index that is no JSON': [asFile('bunkhouse-backup.json', '{')],
    'an index of another format': [packedIndex({ ...indexOf([file]), format: 2 }), asFile(file.path, 'one')],
    'a path that leads elsewhere': [packedIndex(indexOf([{ ...file, path: '../a' }])), asFile('../a', 'one')],
    'an id that is a path': [packedIndex(indexOf([{ ...file, id: '../..' }])), asFile(file.path, 'one')],
    'a file twice': [packedIndex(indexOf([file, file])), asFile(file.path, 'one'), asFile(file.path, 'one')],
    'two files of one id': [packedIndex(indexOf([file, other])), asFile(file.path, 'one'), asFile(other.path, 'one')],
    'a symbolic link for a file': [good[0] as TarEntry, link('symlink')],
    'a hard link for a file': [good[0] as TarEntry, link('link')],
    'a file of another size': [good[0] as TarEntry, asFile(file.path, 'longer')],
    'a missing file': [good[0] as TarEntry],
    'a file too many': [...good, asFile('more', '')],
    'a negative size': [packedIndex(indexOf([{ ...file, size: -1 }])), asFile(file.path, 'one')],
  };
  test.each(Object.entries(cases))('%s', async (_, entries) => {
    expect(await refusalOf(await packTar(entries))).toStartWith('The archive was not taken.');
  });

  test('what is no tar, and one that is cut off at any place', async () => {
    expect(await refusalOf(new TextEncoder().encode('x'.repeat(3000)))).toStartWith('The archive was not taken.');
    const whole = await packTar(good);
    for (let length = 0; length < whole.length - 1024; length += 97) {
      expect(await refusalOf(whole.slice(0, length))).toStartWith('The archive was not taken.');
    }
  });
});
