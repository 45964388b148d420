import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBackupKeep } from '../../../src/config/backup-keep.ts';
import { diskRepositoryStore } from '../../../src/drivers/disk-repository-store.ts';
import { s3RepositoryStore } from '../../../src/drivers/s3-repository-store.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import type { Manifest } from '../../../src/modules/backups/manifest.ts';
import { prune } from '../../../src/modules/backups/sweep.ts';
import { verify } from '../../../src/modules/backups/verify.ts';
import { from } from '../../contracts/object-store.ts';
import { recordingLog } from '../../support/fakes.ts';
import { filesBelow } from '../../support/files-below.ts';
import { type S3Stub, type StubFault, startS3Stub } from '../../support/s3-stub.ts';
import { makeRepository, sha256Of, type TestRepository, textOf, writeSnapshot } from './support.ts';

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );
const images = { inspect: async () => ({ problems: [], tables: { users: 1 }, migrations: ['0000_start'] }) };
const LARGE = randomBytes(12 * 2 ** 20);

describe('a repository in a bucket', () => {
  let stub: S3Stub;
  let subject: TestRepository;
  let workDir: string;
  beforeEach(async () => {
    stub = await startS3Stub({ refusesChecksums: true, wantsEqualParts: true });
    const store = s3RepositoryStore({
      ...stub.options,
      prefix: 'vault',
      log: recordingLog(),
      answerMs: 1_000,
      stallMs: 100,
      slowestBytesPerSecond: 4 * 2 ** 20,
    });
    subject = await makeRepository({ store });
    workDir = await mkdtemp(join(tmpdir(), 'bunkhouse-verify-'));
  });
  afterEach(async () => {
    stub.clearFaults();
    await subject.remove();
    await rm(workDir, { recursive: true, force: true });
    await stub.stop();
  });

  // The list of blobs is made up in a file beside the repository, which has no directory here.
  const take = async (blobs: readonly (Uint8Array | string)[]): Promise<Manifest> =>
    writeSnapshot({ ...subject, root: join(workDir, 'x') }, { blobs });
  const look = (manifest: Manifest) => verify(manifest, { ...subject, images, workDir, level: 'full' });
  const large = { kind: 'blob', sha256: sha256Of(LARGE) } as const;

  test('keeps snapshots, verifies and prunes them as one on disk', async () => {
    const first = await take(['a', LARGE]);
    subject.clock.turn(1_000);
    const second = await take(['a', 'b']);
    expect((await look(second)).ok).toBe(true);
    const pruned = await prune({ ...subject, keep: readBackupKeep('last=1') });
    expect([pruned.forget.map(({ id }) => id), pruned.waiting.objects]).toEqual([[first.id], 2]);
    stub.turnClock(2 * 86_400_000);
    subject.clock.turn(2 * 86_400_000);
    const third = await take(['a', 'c']);
    expect((await prune({ ...subject, keep: readBackupKeep('last=2') })).swept.objects).toBe(2);
    for (const manifest of [second, third]) expect((await look(manifest)).ok).toBe(true);
    expect([...stub.store.objects.keys()].every((name) => name.startsWith('vault/'))).toBe(true);
  });

  const passing: Record<string, readonly [string, StubFault]> = {
    'is told to slow down': ['PutObject', { kind: 'status', status: 503, code: 'SlowDown' }],
    'loses the answer to a part': ['UploadPart', { kind: 'done-then-reset' }],
    'gets no answer for a while': ['UploadPart', { kind: 'silence' }],
    'loses the answer to a completion': ['CompleteMultipartUpload', { kind: 'done-then-reset' }],
    'is told of a failure behind a 200': ['CompleteMultipartUpload', { kind: 'error-in-200', code: 'InternalError' }],
    'is cut off while it reads back': ['GetObject', { kind: 'truncate', bytes: 1_000 }],
    'waits in vain for the rest of a body': ['GetObject', { kind: 'stall', bytes: 70_000 }],
  };
  test.each(Object.entries(passing))('goes on when it %s', async (_, [operation, fault]) => {
    stub.fail(operation, fault, 2);
    const manifest = await take(['a', LARGE]);
    expect((await look(manifest)).ok).toBe(true);
  });

  const lasting: Record<string, readonly [string, StubFault]> = {
    'fails to take anything': ['PutObject', { kind: 'status', status: 500, code: 'InternalError' }],
    'refuses the key': ['PutObject', { kind: 'status', status: 403, code: 'AccessDenied' }],
    'cuts every connection': ['GetObject', { kind: 'reset' }],
    'never gives a whole body': ['GetObject', { kind: 'truncate', bytes: 0 }],
  };
  test.each(Object.entries(lasting))(
    'gives a backup up that %s, and the next one succeeds',
    async (_, [operation, fault]) => {
      const first = await take(['a']);
      subject.clock.turn(1_000);
      stub.fail(operation, fault, 1_000);
      expect(await codeOf(take(['a', 'b', LARGE]))).toBe('storage/unavailable');
      stub.clearFaults();
      expect((await subject.repository.snapshots()).manifests).toEqual([first]);
      const next = await take(['a', 'b', LARGE]);
      for (const manifest of [first, next]) expect((await look(manifest)).ok).toBe(true);
    },
  );

  test('whose bytes do not come says nothing about the backup', async () => {
    const manifest = await take(['a', LARGE]);
    stub.fail('GetObject', { kind: 'status', status: 503, code: 'SlowDown' }, 1_000);
    expect(await codeOf(look(manifest))).toBe('storage/unavailable');
    stub.clearFaults();
    expect((await subject.repository.checks()).length).toBe(0);
  });

  test('that keeps other bytes than it was sent is found out at once', async () => {
    const puts: string[] = [];
    const { put } = stub.store;
    stub.store.put = (name, bytes, type) => {
      if (!name.includes('blobs/')) return put(name, bytes, type);
      puts.push(name);
      return put(name, Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) as number) ^ 1)]), type);
    };
    expect(await codeOf(take(['a']))).toBe('backups/damaged-write');
    expect(puts.length).toBe(1);
    stub.store.put = put;
    expect((await look(await take(['a']))).ok).toBe(true);
  });

  test('that answers nothing keeps what was under the key before, and shows no backup that failed', async () => {
    const lost: [string, StubFault][] = [
      ['PutObject', { kind: 'reset' }],
      ['PutObject', { kind: 'done-then-reset' }],
    ];
    for (const [operation, fault] of lost) {
      const manifest = await take(['a']);
      const { list } = manifest.blobs;
      const body = await Array.fromAsync((await subject.store.get(list.key)) ?? []);
      stub.fail(operation, fault, 1_000);
      expect(await codeOf(subject.store.put(list.key, from(body)))).toBe('storage/unavailable');
      stub.clearFaults();
      expect((await look(manifest)).ok).toBe(true);
      const lease = await subject.repository.lease('shared', 'a test');
      const failed = { ...manifest, id: uuidv7() };
      stub.fail(operation, fault, 1_000);
      expect(await codeOf(subject.repository.writeManifest(failed, lease))).toBe('storage/unavailable');
      stub.clearFaults();
      await lease.release();
      expect(await subject.repository.find(failed.id)).toBeNull();
      subject.clock.turn(1_000);
    }
  });

  test('has nothing left of an object whose source failed', async () => {
    async function* failing() {
      yield LARGE.subarray(0, 11_000_000);
      throw new Error('the file is gone');
    }
    expect(await codeOf(subject.repository.writeObject(large, failing()))).toContain('the file is gone');
    expect([...stub.store.objects.keys()].some((name) => name.includes('blobs/'))).toBe(false);
    expect(stub.store.uploads.size).toBe(0);
  });
});

/** A file system of its own can only be mounted by root on Linux. */
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

describe.skipIf(!canMount)('a directory on a disk in trouble', () => {
  let directory: string;
  const run = (...args: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(args);
    if (exitCode !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bunkhouse-disk-'));
    run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory);
  });
  afterEach(async () => {
    run('umount', '-l', directory);
    await rm(directory, { recursive: true, force: true });
  });

  test('that is full keeps what it has, has nothing left of what did not fit, and goes on when there is room', async () => {
    const store = diskRepositoryStore({ root: directory });
    const subject = await makeRepository({ store });
    const [small, ballast] = [randomBytes(500_000), randomBytes(2_000_000)].map((bytes) => ({
      bytes,
      name: { kind: 'blob', sha256: sha256Of(bytes) } as const,
    })) as [{ bytes: Buffer; name: never }, { bytes: Buffer; name: never }];
    const kept = await subject.repository.writeObject(small.name, from([small.bytes]));
    const before = (await filesBelow(directory)).sort();
    const large = { kind: 'blob', sha256: sha256Of(LARGE) } as const;
    expect(await codeOf(subject.repository.writeObject(large, from([LARGE])))).toBe('storage/full');
    expect((await filesBelow(directory)).sort()).toEqual(before);
    await subject.repository.writeObject(ballast.name, from([ballast.bytes]));
    expect((await textOf(subject.repository.openObject(kept))).length).toBeGreaterThan(0);
    await subject.remove();
  });

  test('that cannot be written to says so before anything is begun', async () => {
    const store = diskRepositoryStore({ root: directory });
    run('mount', '-o', 'remount,ro', directory);
    expect(await codeOf(makeRepository({ store }))).toBe('storage/unavailable');
  });
});
