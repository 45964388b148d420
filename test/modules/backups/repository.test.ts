import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { zstdCompressor } from '../../../src/drivers/zstd-compressor.ts';
import { generateIdentity, recipientOf } from '../../../src/modules/backups/age.ts';
import { encode } from '../../../src/modules/backups/codec.ts';
import { from } from '../../contracts/object-store.ts';
import { filesBelow } from '../../support/files-below.ts';
import { iterate, makeRepository, sha256Of, type TestRepository, textOf, writeSnapshot } from './support.ts';

let subject: TestRepository;
beforeEach(async () => {
  subject = await makeRepository();
});
afterEach(() => subject.remove());

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );

describe('objects', () => {
  const contents = {
    nothing: Buffer.alloc(0),
    'a few bytes': Buffer.from('abc'),
    'exactly a block': randomBytes(2 ** 20),
    'many blocks of noise': randomBytes(9_000_001),
    'many blocks of nothing': Buffer.alloc(30_000_000),
  };
  test.each(Object.entries(contents))('of %s come back', async (_, content) => {
    const { repository } = subject;
    const chunks = [content.subarray(0, 10), content.subarray(10, 700_000), content.subarray(700_000)];
    const name = { kind: 'blob', sha256: sha256Of(content) } as const;
    const entry = await repository.writeObject(name, from(chunks));
    expect(entry).toMatchObject({ bytes: content.length, sha256: name.sha256 });
    expect(Buffer.concat(await Array.fromAsync(repository.openObject(entry))).equals(content)).toBe(true);
    expect(await repository.findObject(name)).toEqual(entry);
    await repository.verifyStored(entry);
  });

  test('that are not what their name says are not kept', async () => {
    const name = { kind: 'blob', sha256: sha256Of('something else') } as const;
    expect(await codeOf(subject.repository.writeObject(name, from([Buffer.from('this')])))).toBe(
      'backups/wrong-content',
    );
    expect(await subject.repository.findObject(name)).toBeNull();
    expect(await filesBelow(subject.root)).toEqual(['repository.json']);
  });

  test('are readable with stock zstd', async () => {
    const content = randomBytes(3_000_000);
    const entry = await subject.repository.writeObject({ kind: 'blob', sha256: sha256Of(content) }, from([content]));
    const { stdout } = Bun.spawnSync(['zstd', '-dc', `${subject.root}/${entry.key}`]);
    expect(stdout.equals(content)).toBe(true);
  });
});

describe('snapshots', () => {
  test('are found newest first, by id and by scope', async () => {
    const { repository, clock } = subject;
    const first = await writeSnapshot(subject);
    clock.turn(60_000);
    const second = await writeSnapshot(subject, { blobs: ['a file'], secret: 'sesame' });
    clock.turn(60_000);
    const third = await writeSnapshot(subject, { databases: {}, manifest: { scope: 'user', userId: 'u' } });
    expect(await repository.snapshots()).toEqual({ manifests: [third, second, first], broken: [] });
    expect(await repository.find('latest')).toEqual(third);
    expect(await repository.find('latest', 'system')).toEqual(second);
    expect(await repository.find(first.id)).toEqual(first);
    expect(await repository.find('0193a1f0-0000-7000-8000-000000000001')).toBeNull();
    const lines = await Array.fromAsync(repository.list(first));
    expect(await Promise.all(lines.map((line) => textOf(repository.openObject(line))))).toEqual(
      ['a file', 'another file'].sort((a, b) => (sha256Of(a) < sha256Of(b) ? -1 : 1)),
    );
  });

  test('share what they have in common', async () => {
    await writeSnapshot(subject);
    const before = await filesBelow(subject.root);
    subject.clock.turn(1_000);
    await writeSnapshot(subject);
    expect((await filesBelow(subject.root)).length).toBe(before.length + 1);
  });

  test.each(['plain', 'encrypted'])('use a list as it lies there, packed by another version (%s)', async (mode) => {
    const identity = await generateIdentity();
    const keys = mode === 'plain' ? {} : { recipient: await recipientOf(identity), identity };
    const repository = await subject.reopen({ keys });
    await repository.initialise();
    const { list } = (await writeSnapshot({ ...subject, repository })).blobs;
    const path = `${subject.root}/${list.key}`;
    const packed = zstdCompressSync(zstdDecompressSync(await readFile(path)), {
      params: { [constants.ZSTD_c_checksumFlag]: 1 },
    });
    expect(sha256Of(packed)).not.toBe(list.storedSha256);
    await writeFile(path, packed);
    subject.clock.turn(1_000);
    const second = await writeSnapshot({ ...subject, repository });
    expect((await readFile(path)).equals(packed)).toBe(true);
    expect(second.blobs.list).toEqual({ ...list, storedBytes: packed.length, storedSha256: sha256Of(packed) });
    // One that is damaged is of no use to anybody.
    await writeFile(path, packed.subarray(0, -30));
    subject.clock.turn(1_000);
    const third = await writeSnapshot({ ...subject, repository });
    expect(third.blobs.list).toEqual(list);
    await repository.verifyStored(list);
  });

  test('of 100,000 files are listed as they were written', async () => {
    const { repository, root } = subject;
    const lines = Array.from({ length: 100_000 }, (_, index) => {
      const sha256 = sha256Of(`${index}`);
      const key = `blobs/${sha256.slice(0, 2)}/${sha256}.zst`;
      return { key, sha256, bytes: index, storedBytes: index + 9, storedSha256: sha256Of(sha256) };
    }).sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
    const blobs = await repository.writeList(iterate(lines), `${root}/../spool`);
    expect([blobs.count, blobs.bytes]).toEqual([100_000, 4_999_950_000]);
    const read = await Array.fromAsync(repository.list({ blobs, recipient: null } as never));
    expect(read).toEqual(lines);
  });

  test('a repository that is not there is empty, and reading does not make it', async () => {
    await subject.remove();
    const repository = await subject.reopen();
    expect([repository.id, await repository.snapshots(), await repository.checks()]).toEqual([
      null,
      { manifests: [], broken: [] },
      [],
    ]);
    expect(await filesBelow(subject.root)).toEqual([]);
  });
});

test.each(['plain', 'encrypted'])(
  'two machines that store the same at once make two good snapshots (%s)',
  async (mode) => {
    const identity = await generateIdentity();
    const keys = mode === 'plain' ? {} : { recipient: await recipientOf(identity), identity };
    const contents = Array.from({ length: 40 }, (_, index) => `content ${index}`);
    const machines = await Promise.all(
      ['web1', 'web2'].map(async (host, pid) => {
        const repository = await subject.reopen({ keys, holder: { host, pid } });
        await repository.initialise();
        return { ...subject, repository, root: `${subject.root}/../${host}/x` };
      }),
    );
    await Promise.all(['web1', 'web2'].map((host) => mkdir(`${subject.root}/../${host}`)));
    const taken = await Promise.all(machines.map((machine) => writeSnapshot(machine, { blobs: contents })));
    for (const manifest of taken) {
      const { repository } = machines[0] as (typeof machines)[0];
      const texts: string[] = [];
      for await (const line of repository.list(manifest)) texts.push(await textOf(repository.openObject(line)));
      expect(texts.sort()).toEqual(contents.toSorted());
    }
    expect((await subject.repository.snapshots()).manifests.length).toBe(2);
  },
);

test('what is stored of a content does not depend on the chunks in which it came', async () => {
  const content = new Uint8Array(700_000).map((_, index) => (index * index) >> 7);
  const storedOf = async (chunkBytes: number) => {
    async function* chunks() {
      for (let at = 0; at < content.length; at += chunkBytes) yield content.subarray(at, at + chunkBytes);
    }
    const { stored, encoded } = encode(chunks(), null, zstdCompressor);
    for await (const _ of stored);
    return encoded().storedSha256;
  };
  const whole = await storedOf(content.length);
  for (const chunkBytes of [65_536, 100_000, 262_144, 300_000, 699_999]) expect(await storedOf(chunkBytes)).toBe(whole);
});
