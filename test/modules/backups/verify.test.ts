import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { generateIdentity, recipientOf } from '../../../src/modules/backups/age.ts';
import type { Manifest } from '../../../src/modules/backups/manifest.ts';
import { type VerifyLevel, verify } from '../../../src/modules/backups/verify.ts';
import type { ImageReport } from '../../../src/ports/database-images.ts';
import { filesBelow } from '../../support/files-below.ts';
import { iterate, makeRepository, sha256Of, type TestRepository, textOf, writeSnapshot } from './support.ts';

const SOUND: ImageReport = { problems: [], tables: { users: 1 }, migrations: ['0000_start'] };
const BLOB = randomBytes(40_000);

let subject: TestRepository;
let manifest: Manifest;
let report: ImageReport;
let opened: string[];

beforeEach(async () => {
  subject = await makeRepository();
  manifest = await writeSnapshot(subject, { blobs: [BLOB, 'a file', 'another file'], secret: 'sesame' });
  report = SOUND;
  opened = [];
});
afterEach(() => subject.remove());

const look = (level: VerifyLevel, repository = subject.repository, of = manifest) =>
  verify(of, {
    ...subject,
    repository,
    level,
    workDir: join(subject.root, '../work'),
    images: {
      async inspect(path) {
        opened.push(await Bun.file(path).text());
        return report;
      },
    },
  });
const pathOf = (key: string) => join(subject.root, key);
const blobKey = (content: Uint8Array | string) => `blobs/${sha256Of(content).slice(0, 2)}/${sha256Of(content)}.zst`;
const flip = async (key: string, at: number) => {
  const bytes = await readFile(pathOf(key));
  bytes[at < 0 ? bytes.length + at : at] = (bytes.at(at) as number) ^ 4;
  await writeFile(pathOf(key), bytes);
};
const codesOf = (check: Awaited<ReturnType<typeof look>>) => check.findings.map(({ code }) => code);

describe('a sound snapshot', () => {
  test.each(['quick', 'share', 'full'] as const)('is found to be so (%s), and that is noted', async (level) => {
    const check = await look(level);
    expect(check).toMatchObject({ kind: level, snapshot: manifest.id, ok: true, findings: [] });
    expect(await subject.repository.checks()).toContainEqual(check);
    expect(opened).toEqual(level === 'full' ? ['an image'] : []);
    expect(await filesBelow(join(subject.root, '../work'))).toEqual([]);
  });

  test('is read in full by the shares of seven days', async () => {
    const blobs = Array.from({ length: 60 }, (_, index) => `file ${index}`);
    const large = await writeSnapshot(subject, { blobs });
    for (const blob of blobs) await flip(blobKey(blob), -1);
    const found: number[] = [];
    for (let day = 0; day < 7; day++) {
      found.push((await look('share', subject.repository, large)).findings.length);
      subject.clock.turn(86_400_000);
    }
    expect(found.reduce((sum, count) => sum + count, 0)).toBe(60);
    expect(Math.max(...found)).toBeLessThan(30);
  });
});

describe('damage is found', () => {
  const image = () => manifest.databases[0]?.image.key as string;
  const list = () => manifest.blobs.list.key;
  const secret = () => manifest.sealed[0]?.key as string;
  const objects: Record<string, () => string> = {
    'a blob': () => blobKey(BLOB),
    'the image of a database': image,
    'the list of blobs': list,
    'the secret': secret,
  };
  for (const [name, keyOf] of Object.entries(objects)) {
    test.each([0, 5, 12, -1])(`when bit 2 of byte %d of ${name} is another one`, async (at) => {
      await flip(keyOf(), at);
      const check = await look('full');
      expect([check.ok, codesOf(check)]).toEqual([false, ['damaged']]);
      expect(check.findings[0]?.key).toBe(keyOf());
      expect(check.findings[0]?.message).toContain(manifest.id);
    });

    test(`when ${name} is cut`, async () => {
      const { size } = await Bun.file(pathOf(keyOf())).stat();
      await truncate(pathOf(keyOf()), size - 1);
      for (const level of ['quick', 'full'] as const) expect(codesOf(await look(level))).toContain('wrong-size');
    });

    test(`when ${name} is empty`, async () => {
      await writeFile(pathOf(keyOf()), '');
      for (const level of ['quick', 'full'] as const) expect(codesOf(await look(level))).toContain('wrong-size');
    });

    test(`when ${name} is missing`, async () => {
      await rm(pathOf(keyOf()));
      for (const level of ['quick', 'full'] as const) expect(codesOf(await look(level))).toContain('missing');
    });
  }

  test('all of it, naming every snapshot that it hurts and no other', async () => {
    subject.clock.turn(1_000);
    const next = await writeSnapshot(subject, { blobs: ['a file'], databases: { main: 'another image' } });
    await rm(pathOf(blobKey('a file')));
    await flip(blobKey('another file'), 12);
    await flip(image(), -3);
    const { findings } = await look('full');
    expect(findings.map(({ key, message }) => [key, message.includes(next.id)])).toEqual(
      expect.arrayContaining([
        [blobKey('a file'), true],
        [blobKey('another file'), false],
        [image(), false],
      ]),
    );
    expect(findings.length).toBe(3);
  });

  test('inside a database, and when it is not what the manifest counted', async () => {
    report = { problems: ['row 3 missing from index users_email'], tables: { users: 2, more: 1 }, migrations: [] };
    expect(codesOf(await look('full'))).toEqual(['database', 'row-count', 'row-count', 'migrations']);
  });

  test('when an object is another one of the same size whose hash fits neither', async () => {
    const other = await readFile(pathOf(blobKey(BLOB)));
    await writeFile(pathOf(blobKey(BLOB)), randomBytes(other.length));
    expect(codesOf(await look('quick'))).toEqual([]);
    expect(codesOf(await look('full'))).toEqual(['damaged']);
  });

  test('without the key, by the stored bytes', async () => {
    const identity = await generateIdentity();
    const keys = { recipient: await recipientOf(identity), identity };
    const owner = await subject.reopen({ keys });
    await owner.initialise();
    subject.clock.turn(1_000);
    const sealed = await writeSnapshot({ ...subject, repository: owner }, { blobs: ['a file'] });
    const server = await subject.reopen({ keys: { recipient: keys.recipient } });
    expect((await look('full', server, sealed)).ok).toBe(true);
    expect(opened).toEqual([]);
    expect((await look('full', owner, sealed)).ok).toBe(true);
    expect(opened).toEqual(['an image']);
    const [line] = await Array.fromAsync(owner.list(sealed));
    for (const at of [3, 60, -1]) {
      await flip(line?.key as string, at);
      expect(codesOf(await look('full', server, sealed))).toEqual(['damaged']);
      expect(codesOf(await look('full', owner, sealed))).toEqual(['damaged']);
      await flip(line?.key as string, at);
    }
  });
});

describe('what was found damaged', () => {
  test('is not relied on by the next backup', async () => {
    await flip(blobKey('a file'), 9);
    await look('full');
    expect(await subject.repository.suspects()).toEqual(new Set([blobKey('a file')]));
    const name = { kind: 'blob', sha256: sha256Of('a file') } as const;
    expect(await subject.repository.findObject(name)).toBeNull();
    await subject.repository.writeObject(
      name,
      (async function* () {
        yield Buffer.from('a file');
      })(),
    );
    // The snapshot that it hurt is whole again.
    expect((await look('full')).ok).toBe(true);
  });

  test('is never given out as if it were right', async () => {
    const line = (await Array.fromAsync(subject.repository.list(manifest))).find(({ key }) => key === blobKey(BLOB));
    await flip(blobKey(BLOB), 200);
    const read = await textOf(subject.repository.openObject(line as never)).catch((error: Error) => error.message);
    expect(read).toContain('backups/damaged');
  });

  test('the manifest: the latest backup is then not an older one in silence', async () => {
    subject.clock.turn(1_000);
    const next = await writeSnapshot(subject, { blobs: ['a file'] });
    const [key] = (await Array.fromAsync(subject.store.list('snapshots/')))
      .map((object) => object.key)
      .filter((each) => each.includes(next.id));
    await flip(key as string, 30);
    for (const wanted of ['latest', next.id]) {
      const failure = await subject.repository.find(wanted).catch((error: Error) => error.message);
      expect(failure).toContain(key as string);
    }
    expect((await subject.repository.snapshots()).broken.map((each) => each.key)).toEqual([key as string]);
    expect((await subject.repository.find(manifest.id))?.id).toBe(manifest.id);
  });
});

test('a repository whose description is damaged is read all the same, and not written to', async () => {
  await flip('repository.json', 10);
  const repository = await subject.reopen();
  expect((await look('full', repository)).ok).toBe(true);
  expect(await repository.initialise().catch((error: Error) => error.message)).toContain('repository.json');
  await rm(pathOf('repository.json'));
  await (await subject.reopen()).initialise();
  expect(await repository.find(manifest.id)).toEqual(manifest);
});

test('a bomb is not unpacked further than the entry says', async () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 * 2 ** 20));
  await writeFile(pathOf(blobKey('a file')), bomb);
  const entry = {
    key: blobKey('a file'),
    sha256: sha256Of('a file'),
    bytes: 6,
    storedBytes: bomb.length,
    storedSha256: sha256Of(bomb),
  };
  for (const bytes of [6, 5_000_000]) {
    let given = 0;
    const failure = await (async () => {
      for await (const chunk of subject.repository.openObject({ ...entry, bytes })) given += chunk.length;
    })().catch((error: Error) => error.message);
    expect(failure).toContain('backups/damaged');
    expect(given).toBeLessThanOrEqual(bytes);
  }
});

describe('very much damage', () => {
  test('of many backups is told in few words, and is kept', async () => {
    for (let n = 0; n < 300; n++) {
      subject.clock.turn(1_000);
      const lease = await subject.repository.lease('shared', 'a test');
      const createdAt = new Date(subject.clock.now()).toISOString();
      await subject.repository.writeManifest({ ...manifest, id: uuidv7(subject.clock.now()), createdAt }, lease);
      await lease.release();
    }
    await rm(pathOf(blobKey(BLOB)));
    const check = await look('quick');
    expect(check.findings.map(({ message }) => message)).toEqual([expect.stringContaining(' and 296 more. ')]);
    expect(await subject.repository.checks()).toEqual([check]);
  });

  test('of one backup is kept in part, and none of it is relied on', async () => {
    const blobs = Array.from({ length: 260 }, (_, index) => `file ${index}`);
    const large = await writeSnapshot(subject, { blobs });
    for (const blob of blobs) await rm(pathOf(blobKey(blob)));
    const check = await look('quick', subject.repository, large);
    expect([check.findings.length, check.findings.at(-1)?.message]).toEqual([
      200,
      'There are 61 more findings like these.',
    ]);
    expect(await subject.repository.checks()).toEqual([check]);
    expect(await subject.repository.suspects()).toEqual(new Set(blobs.map(blobKey)));
  });

  test('in the record of a check itself hinders nobody', async () => {
    const check = await look('quick');
    await subject.store.put('checks/20260101T000000.000Z-noise.json', iterate([new Uint8Array(2 ** 26 + 1)]));
    await subject.store.put('checks/20260101T000000.001Z-noise.json', iterate([Buffer.from('{')]));
    expect(await subject.repository.checks()).toEqual([check]);
    expect(await subject.repository.suspects()).toEqual(new Set());
  });
});
