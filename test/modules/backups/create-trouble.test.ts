import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { runImageTask } from '../../../src/db/image-process.ts';
import { diskRepositoryStore } from '../../../src/drivers/disk-repository-store.ts';
import type { RepositoryStore } from '../../../src/ports/repository-store.ts';
import { filesBelow } from '../../support/files-below.ts';
import { contentsOf, openSystem, openTestRepository } from './system.ts';

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );
const MiB = 2 ** 20;

describe('a backup whose store is in trouble', () => {
  test('that gives back other bytes than it was given is given up', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'content');
    const lying: RepositoryStore = {
      ...system.store,
      async get(key, range) {
        const body = await system.store.get(key, range);
        if (!body || !key.startsWith('blobs/')) return body;
        const bytes = await new Response(body).bytes();
        bytes[0] = (bytes[0] as number) ^ 1;
        return new Response(bytes).body;
      },
      async read(key, memory) {
        const length = (await system.store.read?.(key, memory)) ?? null;
        if (key.startsWith('blobs/')) memory[0] = (memory[0] as number) ^ 1;
        return length;
      },
    };
    for (const read of [undefined, lying.read]) {
      const { read: _, ...store } = lying;
      const repository = await openTestRepository(read ? { ...store, read } : store);
      expect(await codeOf(system.create({}, { repository }))).toBe('backups/damaged-write');
      expect((await system.repository.snapshots()).manifests).toEqual([]);
    }
  });

  test('that cannot be flushed has no manifest, and every content is put before it is flushed', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'content');
    const done: string[] = [];
    let isBroken = true;
    const repository = await openTestRepository({
      ...system.store,
      async put(key, body, options) {
        await system.store.put(key, body, options);
        done.push(options?.isDeferred ? 'a content' : (key.split('/')[0] as string));
      },
      async flush() {
        await system.store.flush?.();
        done.push('flushed');
        if (isBroken) throw Object.assign(new Error('it could not be written'), { code: 'EIO' });
      },
    });
    expect(await codeOf(system.create({}, { repository }))).toBe('EIO');
    expect((await system.repository.snapshots()).manifests).toEqual([]);
    expect(done.slice(-1)).toEqual(['flushed']);
    isBroken = false;
    done.length = 0;
    await system.addFile(system.people.alice, 'another');
    await system.create({}, { repository });
    expect(done).toEqual(['leases', 'a content', 'lists', 'databases', 'flushed', 'snapshots', 'checks']);
  });

  test('with a list that was damaged since takes the next backup without it', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'content');
    const first = await system.manifest((await system.create()).id);
    await writeFile(join(system.root, 'repository', first.blobs.list.key), 'no list any more');
    const second = await system.create();
    // The content is there and is compared, not copied.
    expect(second).toMatchObject({ fileCount: 1, storedBlobs: 0 });
    expect((await contentsOf(system.repository, await system.manifest(second.id))).size).toBe(1);
  });
});

/** A file system of its own can only be mounted by root on Linux. */
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

const run = (...args: string[]) => {
  const { exitCode, stderr } = Bun.spawnSync(args);
  if (exitCode !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
};

describe.skipIf(!canMount)('a backup on a full disk', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bunkhouse-full-'));
    run('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory);
  });
  afterEach(async () => {
    run('umount', '-l', directory);
    await rm(directory, { recursive: true, force: true });
  });

  test('for the copies of the databases says so, and the system goes on', async () => {
    await using system = await openSystem();
    await system.database.write((tx) => tx.run(sql`CREATE TABLE large (body BLOB)`));
    await system.database.write((tx) => tx.run(sql`INSERT INTO large VALUES (randomblob(9000000))`));
    const workDir = join(directory, 'work');
    expect(await codeOf(system.create({}, { workDir }))).toBe('backups/no-room');
    expect(await readdir(directory)).toEqual([]);
    await system.database.write((tx) => tx.run(sql`DELETE FROM large`));
    expect((await system.repository.snapshots()).manifests).toEqual([]);
    await system.create();
  });

  test('that fills up while a database is copied says so too', async () => {
    await using system = await openSystem();
    await system.database.write((tx) => tx.run(sql`CREATE TABLE large (body BLOB)`));
    await system.database.write((tx) => tx.run(sql`INSERT INTO large VALUES (randomblob(9000000))`));
    // As if somebody else had taken the room after it was asked for.
    const copy = { path: join(system.dataDir, 'main.db'), engine: 'sqlite' } as const;
    const copying = runImageTask({ copy, target: join(directory, 'main.sqlite') });
    expect(await codeOf(copying)).toBe('database/full');
  });

  test('of the repository says so, hurts no earlier backup, and goes on when there is room', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'small');
    const repository = await openTestRepository(diskRepositoryStore({ root: join(directory, 'repository') }));
    const first = await system.create({}, { repository });
    const large = await system.addFile(system.people.alice, randomBytes(6 * MiB));
    await system.addFile(system.people.alice, randomBytes(4 * MiB));
    expect(await codeOf(system.create({}, { repository }))).toBe('backups/no-room');
    expect((await repository.snapshots()).manifests.map(({ id }) => id)).toEqual([first.id]);
    await system.removeFile(large.id);
    const fitting = (await filesBelow(join(directory, 'repository/blobs'))).filter((name) =>
      name.startsWith(large.sha256.slice(2)),
    );
    for (const name of fitting) await rm(join(directory, 'repository/blobs', large.sha256.slice(0, 2), name));
    const next = await system.create({}, { repository });
    expect(next.fileCount).toBe(2);
    expect((await contentsOf(repository, (await repository.find(next.id)) as never)).size).toBe(2);
  });
});
