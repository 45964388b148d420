import { describe, expect, test } from 'bun:test';
import {
  type Manifest,
  objectsOf,
  readManifestText,
  toManifestKey,
  toManifestText,
} from '../../../src/modules/backups/manifest.ts';
import { toKey } from '../../../src/modules/backups/object-names.ts';
import { sha256Of } from './support.ts';

const [image, list, secret] = ['image', 'list', 'secret'].map(sha256Of) as [string, string, string];
const entry = (key: string, sha256: string) => ({
  key,
  sha256,
  bytes: 5,
  storedBytes: 18,
  storedSha256: sha256Of(key),
});
const NONCE = '0123456789ab';

const manifest: Manifest = {
  format: 1,
  id: '0193a1f0-0000-7000-8000-000000000001',
  scope: 'system',
  userId: null,
  note: 'before the "update"\n',
  createdAt: '2026-11-23T03:45:00.123Z',
  tookMs: 1_234,
  program: '0.1.0',
  installation: 'here',
  recipient: null,
  databases: [
    {
      name: 'main',
      image: entry(toKey({ kind: 'database', database: 'main', sha256: image }, null), image),
      tables: { users: 3, '7': 1, __proto__x: 0 },
      migrations: ['0000_a', '0001_b'],
    },
  ],
  blobs: { list: entry(toKey({ kind: 'list', sha256: list }, null), list), count: 2, bytes: 10 },
  sealed: [{ kind: 'secret', ...entry(toKey({ kind: 'sealed', sha256: secret }, null), secret) }],
  secret: 'included',
  damaged: [{ fileId: '0193a1f0-0000-7000-8000-00000000000f', sha256: image, reason: 'missing' }],
};

const codeOf = (text: string) => {
  try {
    readManifestText(text);
    return 'read';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

describe('a manifest', () => {
  test('comes back as it was written, under a key in the order of time', () => {
    expect(readManifestText(toManifestText(manifest))).toEqual(manifest);
    expect(toManifestKey(manifest)).toBe(`snapshots/20261123T034500.123Z-${manifest.id}.json`);
  });

  test('names every object but the blobs', () => {
    expect(objectsOf(manifest).map(({ sha256 }) => sha256)).toEqual([image, secret, list]);
  });

  test('is JSON whose hash stock tools can check', () => {
    const text = toManifestText(manifest);
    const { stdout } = Bun.spawnSync(['sh', '-c', 'head -n -2 | sha256sum'], { stdin: Buffer.from(text) });
    expect(stdout.toString().slice(0, 64)).toBe(JSON.parse(text).sha256);
  });

  test('with any single bit flipped is damaged', () => {
    const good = Buffer.from(toManifestText(manifest));
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ (1 << (at % 7));
      expect(codeOf(bad.toString('latin1'))).toBe('backups/damaged');
    }
  });

  test('that is cut anywhere, empty or something else is damaged', () => {
    const good = toManifestText(manifest);
    for (let length = 0; length < good.length; length += 7)
      expect(codeOf(good.slice(0, length))).toBe('backups/damaged');
    for (const text of ['', '{}', 'null', '[]', `${good}\n`, `${good}${good}`])
      expect(codeOf(text)).toBe('backups/damaged');
  });

  test('of a newer format says so, and what is new in this one is dropped', () => {
    expect(codeOf(toManifestText({ ...manifest, format: 2 } as never))).toBe('backups/newer-format');
    expect(readManifestText(toManifestText({ ...manifest, deltas: [] } as never))).toEqual(manifest);
  });

  const [database] = manifest.databases as [Manifest['databases'][0]];
  const withImage = (change: Partial<Manifest['databases'][0]['image']>) => ({
    databases: [{ ...database, image: { ...database.image, ...change } }],
  });
  const lies: Record<string, object> = {
    'a key that leaves the repository': withImage({ key: '../../etc/passwd' }),
    'a key that leaves its directory': withImage({ key: `databases/../blobs/${image}.sqlite.zst` }),
    'a key of another kind': withImage({ key: `lists/${image}.txt.zst` }),
    'a key of another database': withImage({ key: `databases/other/${image}.sqlite.zst` }),
    'a key of another content': withImage({ key: `databases/main/${list}.sqlite.zst` }),
    'an encrypted object in a snapshot that is not': withImage({
      key: toKey({ kind: 'database', database: 'main', sha256: image }, NONCE),
    }),
    'plain objects in a snapshot that is encrypted': { recipient: `age1${'q'.repeat(58)}` },
    'an absurd size': withImage({ bytes: 2 ** 60 }),
    'a negative size': withImage({ storedBytes: -1 }),
    'a size that is no number': withImage({ bytes: '5' as never }),
    'a size with a fraction': withImage({ bytes: 1.5 }),
    'two databases of one name': { databases: [database, database] },
    'a database named as a path': { databases: [{ ...database, name: '../main' }] },
    'a moment that never was': { createdAt: '2026-13-41T99:00:00.000Z' },
    'an id that is a path': { id: '../../x' },
    'a user without one': { scope: 'user', userId: null },
    'a count that is negative': { blobs: { ...manifest.blobs, count: -1 } },
    'no databases at all': { databases: undefined },
  };
  test.each(Object.entries(lies))('with %s is refused although its hash is right', (_, lie) => {
    expect(codeOf(toManifestText({ ...manifest, ...lie } as never))).toBe('backups/damaged');
  });
});
