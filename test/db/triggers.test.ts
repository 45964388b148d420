import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { eq } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../src/db/migrate.ts';
import { users } from '../../src/db/schema/auth.ts';
import { backups, doomedBackups } from '../../src/db/schema/backups.ts';
import { doomedObjects, files, fileUsage, fileVariants } from '../../src/db/schema/uploads.ts';
import type { Database } from '../../src/ports/database.ts';

let database: Database;
beforeEach(async () => {
  database = await openEmbeddedDatabase({ name: 'main', path: ':memory:' });
  await migrate(database, loadMigrations());
  await database.write(async (tx) => {
    for (const id of ['ann', 'bob']) {
      await tx.insert(users).values({ id, email: `${id}@example.org`, passwordHash: '', createdAt: 0, updatedAt: 0 });
    }
  });
});
afterEach(() => database.close());

const addFile = (id: string, ownerId: string, size: number) =>
  database.write(async (tx) => {
    await tx.insert(files).values({
      id,
      ownerId,
      name: id,
      size,
      type: 'text/plain',
      sha256: '',
      objectKey: `key-${id}`,
      createdAt: 0,
      updatedAt: 0,
    });
  });
const addVariant = (id: string, fileId: string) =>
  database.write(async (tx) => {
    await tx
      .insert(fileVariants)
      .values({ id, fileId, recipe: id, objectKey: `key-${id}`, size: 1, type: 'image/webp', createdAt: 0 });
  });
const usageOf = async (userId: string) =>
  (await database.read.select().from(fileUsage).where(eq(fileUsage.userId, userId)).get())?.bytes;
const doomed = async () =>
  (await database.read.select().from(doomedObjects).all()).map(({ objectKey }) => objectKey).sort();

describe('what a user keeps', () => {
  test('is counted where it changes', async () => {
    expect(await usageOf('ann')).toBeUndefined();
    await addFile('a', 'ann', 100);
    await addFile('b', 'ann', 23);
    await addFile('c', 'bob', 7);
    expect([await usageOf('ann'), await usageOf('bob')]).toEqual([123, 7]);
    await database.write((tx) => tx.update(files).set({ size: 10 }).where(eq(files.id, 'a')));
    expect(await usageOf('ann')).toBe(33);
    await database.write((tx) => tx.delete(files).where(eq(files.id, 'b')));
    expect([await usageOf('ann'), await usageOf('bob')]).toEqual([10, 7]);
  });

  test('is not counted when the write is undone', async () => {
    await addFile('a', 'ann', 100);
    await database
      .write(async (tx) => {
        await tx.update(files).set({ size: 5000 }).where(eq(files.id, 'a'));
        throw new Error('undone');
      })
      .catch(() => undefined);
    expect(await usageOf('ann')).toBe(100);
  });

  test('is forgotten with the user', async () => {
    await addFile('a', 'ann', 100);
    await addFile('c', 'bob', 7);
    await database.write((tx) => tx.delete(users).where(eq(users.id, 'ann')));
    expect([await usageOf('ann'), await usageOf('bob')]).toEqual([undefined, 7]);
    expect(await database.read.$count(files)).toBe(1);
  });
});

describe('bytes that lose their name are doomed', () => {
  test('when a file is deleted, with its variants', async () => {
    await addFile('a', 'ann', 1);
    await addFile('b', 'ann', 1);
    await addVariant('small', 'a');
    await database.write((tx) => tx.delete(files).where(eq(files.id, 'a')));
    expect(await doomed()).toEqual(['key-a', 'key-small']);
    expect(await database.read.$count(fileVariants)).toBe(0);
  });

  test('when a file is replaced, and not when it is only renamed', async () => {
    await addFile('a', 'ann', 1);
    await database.write((tx) =>
      tx.update(files).set({ name: 'renamed', objectKey: 'key-a' }).where(eq(files.id, 'a')),
    );
    expect(await doomed()).toEqual([]);
    await database.write((tx) => tx.update(files).set({ objectKey: 'key-a2' }).where(eq(files.id, 'a')));
    expect(await doomed()).toEqual(['key-a']);
  });

  test('when their owner is deleted, and only then', async () => {
    for (const id of ['a', 'b']) await addFile(id, 'ann', 1);
    await addVariant('small', 'a');
    await addFile('c', 'bob', 1);
    await database.write((tx) => tx.delete(users).where(eq(users.id, 'ann')));
    expect(await doomed()).toEqual(['key-a', 'key-b', 'key-small']);
  });

  test('never when the deletion is undone', async () => {
    await addFile('a', 'ann', 1);
    await database
      .write(async (tx) => {
        await tx.delete(users).where(eq(users.id, 'ann'));
        throw new Error('undone');
      })
      .catch(() => undefined);
    expect(await doomed()).toEqual([]);
    expect(await usageOf('ann')).toBe(1);
  });

  test('when a content is replaced, with what was made from it', async () => {
    await addFile('a', 'ann', 1);
    await addFile('b', 'ann', 1);
    await addVariant('v', 'a');
    await addVariant('w', 'b');
    await database.write((tx) => tx.update(files).set({ name: 'other' }).where(eq(files.id, 'a')));
    expect(await doomed()).toEqual([]);
    await database.write((tx) => tx.update(files).set({ objectKey: 'key-new' }).where(eq(files.id, 'a')));
    expect(await doomed()).toEqual(['key-a', 'key-v']);
    expect((await database.read.select().from(fileVariants).all()).map(({ id }) => id)).toEqual(['w']);
  });
});

test('of the backups that a deleted user asked for, those of the system stay and their own are doomed', async () => {
  await database.write((tx) =>
    tx.insert(backups).values(
      (
        [
          ['a', 'ann', 'system', 'running', false],
          ['b', 'ann', 'system', 'done', true],
          ['c', 'ann', 'user', 'done', true],
          ['d', 'bob', 'system', 'done', true],
          ['e', 'bob', 'user', 'done', true],
        ] as const
      ).map(([id, userId, scope, status, isKept]) => ({ id, userId, scope, status, isKept, createdAt: 0 })),
    ),
  );
  await database.write((tx) => tx.delete(users).where(eq(users.id, 'ann')));
  const rows = await database.read.select().from(backups).orderBy(backups.id);
  expect(rows.map(({ id, userId }) => [id, userId])).toEqual([
    ['a', null],
    ['b', null],
    ['d', 'bob'],
    ['e', 'bob'],
  ]);
  expect(await database.read.select().from(doomedBackups)).toEqual([{ backupId: 'c' }]);
});
