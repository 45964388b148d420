import { afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  decryptByPassphrase,
  encryptByPassphrase,
  generateIdentity,
  recipientOf,
  WrongKey,
} from '../../../src/modules/backups/age.ts';
import type { KeySettings } from '../../../src/modules/backups/repository-keys.ts';
import { from } from '../../contracts/object-store.ts';
import { makeRepository, sha256Of, type TestRepository, textOf, writeSnapshot } from './support.ts';

/** Each use of it takes a while, on purpose. */
const PASSPHRASE = 'a passphrase of some length';
const hasAge = Bun.which('age') !== null;

let identity: string;
let recipient: string;
let subject: TestRepository;
beforeAll(async () => {
  identity = await generateIdentity();
  recipient = await recipientOf(identity);
});
afterEach(() => subject.remove());

const open = async (keys: KeySettings) => {
  subject = await makeRepository({ keys });
  return subject.repository;
};
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );
const read = async (repository: TestRepository['repository']) => {
  const manifest = await repository.find('latest');
  if (!manifest) throw new Error('there is no snapshot');
  const texts: string[] = [];
  for await (const line of repository.list(manifest)) texts.push(await textOf(repository.openObject(line)));
  for (const { image } of manifest.databases) texts.push(await textOf(repository.openObject(image)));
  return texts.sort();
};
const CONTENT = ['a file', 'an image', 'another file'];

describe('with a passphrase', () => {
  test('backups come back with it, on a machine that knows nothing else, and not without', async () => {
    await open({ passphrase: PASSPHRASE });
    const manifest = await writeSnapshot(subject, { secret: 'sesame' });
    const other = await subject.reopen({ keys: { passphrase: PASSPHRASE } });
    expect([other.canRead(manifest), await read(other)]).toEqual([true, CONTENT]);

    const without = await subject.reopen({ keys: {} });
    expect([without.canRead(manifest), await codeOf(read(without))]).toEqual([false, 'backups/needs-key']);
    for (const line of await Array.fromAsync(without.list(manifest))) await without.verifyStored(line);
    expect(await codeOf(without.initialise())).toBe('backups/needs-key');
    expect(await codeOf(subject.reopen({ keys: { passphrase: 'another passphrase' } }))).toBe('backups/wrong-key');
  });

  test('nothing that is stored shows what is inside', async () => {
    await open({ passphrase: PASSPHRASE });
    await writeSnapshot(subject, { blobs: ['a text that is easy to find'], secret: 'sesame-open-the-door' });
    for (const entry of await readdir(subject.root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const stored = await readFile(join(entry.parentPath, entry.name), 'latin1');
      expect(stored).not.toMatch(/easy to find|open-the-door|AGE-SECRET-KEY/);
      expect(stored).not.toContain(PASSPHRASE);
    }
  });

  test('its key survives the damage of one copy', async () => {
    await open({ passphrase: PASSPHRASE });
    await writeSnapshot(subject);
    const [first] = (await readdir(join(subject.root, 'keys'))).filter((name) => name.endsWith('.age')).sort();
    await writeFile(join(subject.root, 'keys', first as string), 'age-encryption.org/v1\nnonsense');
    expect(await read(await subject.reopen({ keys: { passphrase: PASSPHRASE } }))).toEqual(CONTENT);
  });

  test('it can be changed, and the old one is of no use then', async () => {
    const repository = await open({ passphrase: PASSPHRASE });
    await writeSnapshot(subject);
    await repository.changePassphrase('the next passphrase');
    expect(await codeOf(subject.reopen({ keys: { passphrase: PASSPHRASE } }))).toBe('backups/wrong-key');
    expect(await read(await subject.reopen({ keys: { passphrase: 'the next passphrase' } }))).toEqual(CONTENT);
  });
});

describe('with a recipient', () => {
  test('no backup counts before the owner has shown the identity', async () => {
    subject = await makeRepository({ keys: { recipient, identity } });
    const proven = await subject.reopen({ keys: { recipient } });
    await proven.initialise();

    const stranger = await recipientOf(await generateIdentity());
    expect(await codeOf((await subject.reopen({ keys: { recipient: stranger } })).initialise())).toBe(
      'backups/unproven-key',
    );
    const wrong = await subject.reopen({ keys: { recipient: stranger, identity } });
    expect(await codeOf(wrong.initialise())).toBe('backups/unproven-key');
  });

  test('who only has the recipient writes and checks what it cannot read', async () => {
    await open({ recipient, identity });
    const repository = await subject.reopen({ keys: { recipient } });
    const manifest = await writeSnapshot({ ...subject, repository });
    expect([repository.canRead(manifest), await codeOf(read(repository))]).toEqual([false, 'backups/needs-key']);
    for (const line of await Array.fromAsync(repository.list(manifest))) await repository.verifyStored(line);
    expect(await read(await subject.reopen({ keys: { identity } }))).toEqual(CONTENT);
    const other = { identity: await generateIdentity() };
    expect(await codeOf(read(await subject.reopen({ keys: other })))).toBe('backups/wrong-key');
  });

  test('an object that is there already is never written over: earlier snapshots know its bytes', async () => {
    await open({ recipient, identity });
    const repository = await subject.reopen({ keys: { recipient } });
    const name = { kind: 'blob', sha256: sha256Of('x') } as const;
    const first = await repository.writeObject(name, from([Buffer.from('x')]));
    expect(await repository.findObject(name)).toBeNull();
    const second = await repository.writeObject(name, from([Buffer.from('x')]));
    expect(second.key).not.toBe(first.key);
    await repository.verifyStored(first);
    // With the identity it can be told that one of them is what is looked for.
    const found = await subject.repository.findObject(name);
    expect([first.key, second.key]).toContain(found?.key as string);
  });

  test('an identity file is read as age-keygen writes it, and anything else is refused', async () => {
    await open({ recipient, identity: `# created: 2026-01-01\n# public key: ${recipient}\n${identity}\n` });
    for (const text of ['nonsense', '# only a comment\n', recipient, `${identity}x`]) {
      expect(await codeOf(subject.reopen({ keys: { identity: text } }))).toBe('backups/wrong-key');
    }
  });
});

describe('turned on later', () => {
  test('what is new is encrypted throughout, what is old stays readable', async () => {
    await open({});
    const plain = await writeSnapshot(subject);
    const repository = await subject.reopen({ keys: { passphrase: PASSPHRASE } });
    await repository.initialise();
    expect(repository.canReuse(plain)).toBe(false);
    subject.clock.turn(1_000);
    const encrypted = await writeSnapshot({ ...subject, repository });
    expect(encrypted.recipient).toStartWith('age1');
    expect(repository.canReuse(encrypted)).toBe(true);
    const lines = await Array.fromAsync(repository.list(encrypted));
    expect(lines.every(({ key }) => key.endsWith('.zst.age'))).toBe(true);
    expect([repository.canRead(plain), repository.canRead(encrypted)]).toEqual([true, true]);

    const next = await subject.reopen({ keys: { recipient, identity } });
    await next.initialise();
    expect([next.canReuse(encrypted), next.canRead(encrypted), next.canRead(plain)]).toEqual([false, false, true]);
  });
});

describe.skipIf(!hasAge)('the age command', () => {
  const run = (script: string, ...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(['sh', '-ec', script, 'sh', ...args]);
    if (exitCode !== 0) throw new Error(stderr.toString());
    return stdout;
  };

  test('reads what is stored, with zstd alone beside it', async () => {
    await open({ recipient, identity });
    const content = randomBytes(3_000_000);
    const entry = await subject.repository.writeObject({ kind: 'blob', sha256: sha256Of(content) }, from([content]));
    const file = join(subject.root, '../identity.txt');
    await writeFile(file, `${identity}\n`);
    const stored = join(subject.root, entry.key);
    expect(run('age -d -i "$1" "$2" | zstd -dc', file, stored).equals(content)).toBe(true);
  });

  test.skipIf(Bun.which('script') === null)('opens what a passphrase opens here, and the other way round', async () => {
    await open({});
    // It asks on a terminal alone.
    const asked = (command: string) =>
      run('cd "$1"; printf "%s\\n%s\\n" "$3" "$3" | script -qec "$2" /dev/null', subject.root, command, PASSPHRASE);
    await writeFile(join(subject.root, 'ours.age'), await encryptByPassphrase(PASSPHRASE, 'of ours'));
    asked('age -d -o ours.txt ours.age');
    expect(await readFile(join(subject.root, 'ours.txt'), 'utf8')).toBe('of ours');
    await writeFile(join(subject.root, 'theirs.txt'), 'of theirs');
    asked('age -p -o theirs.age theirs.txt');
    const theirs = await readFile(join(subject.root, 'theirs.age'));
    expect(await decryptByPassphrase(PASSPHRASE, theirs)).toBe('of theirs');
    expect(await decryptByPassphrase('another', theirs).catch((error: unknown) => error)).toBeInstanceOf(WrongKey);
  });

  test('makes identities that are taken', async () => {
    const made = run('age-keygen 2>/dev/null').toString();
    const [, theirs] = /public key: (age1\S+)/.exec(made) ?? [];
    await open({ recipient: theirs, identity: made });
    await writeSnapshot(subject);
    expect(await read(subject.repository)).toEqual(CONTENT);
  });
});
