import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { eq, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { AppError } from '../../src/kernel/errors.ts';
import { ConstraintError, type Database } from '../../src/ports/database.ts';

const counters = sqliteTable('counters', { name: text('name').primaryKey(), value: integer('value').notNull() });
const notes = sqliteTable('notes', { id: integer('id').primaryKey(), counter: text('counter'), body: text('body') });

const SCHEMA = [
  'CREATE TABLE counters (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL CHECK (value >= 0))',
  `CREATE TABLE notes (id INTEGER PRIMARY KEY, counter TEXT REFERENCES counters(name) ON DELETE CASCADE, body TEXT,
    UNIQUE (counter, body))`,
];

export interface DatabaseContract {
  /** Opens an empty database. */
  open(): Promise<Database>;
  /** Runs after a database was closed, to clean up. */
  cleanUp?(): Promise<void>;
}

/** What every database engine does, whatever it is made of. */
export function describeDatabase(name: string, { open, cleanUp }: DatabaseContract): void {
  describe(`the database contract: ${name}`, () => {
    let database: Database;
    beforeEach(async () => {
      database = await open();
      await database.write(async (tx) => {
        for (const statement of SCHEMA) await tx.run(sql.raw(statement));
        await tx.insert(counters).values({ name: 'a', value: 0 });
      });
    });
    afterEach(async () => {
      await database.close();
      await cleanUp?.();
    });

    const readValue = async (counter = 'a') =>
      (await database.read.select().from(counters).where(eq(counters.name, counter)).get())?.value;
    const add = (amount = 1) =>
      database.write(async (tx) => {
        const row = await tx.select().from(counters).where(eq(counters.name, 'a')).get();
        await tx
          .update(counters)
          .set({ value: (row?.value ?? 0) + amount })
          .where(eq(counters.name, 'a'));
        return row?.value;
      });

    test('what was written can be read once the write has resolved', async () => {
      for (let round = 1; round <= 20; round++) {
        await add();
        expect(await readValue()).toBe(round);
      }
    });

    test('a write gives what its work gives, and sees its own changes', async () => {
      const seen = await database.write(async (tx) => {
        await tx.insert(counters).values({ name: 'b', value: 7 });
        return tx.select().from(counters).where(eq(counters.name, 'b')).get();
      });
      expect(seen).toEqual({ name: 'b', value: 7 });
    });

    test('fifty parallel read-modify-writes all count, in the order they were asked for', async () => {
      const before = await Promise.all(Array.from({ length: 50 }, () => add()));
      expect(await readValue()).toBe(50);
      expect(before).toEqual(Array.from({ length: 50 }, (_, index) => index));
    });

    test('a throw rolls back its own work and nobody else’s, also when they wait together', async () => {
      const fault = new Error('changed my mind');
      const outcomes = await Promise.allSettled(
        Array.from({ length: 30 }, (_, index) =>
          index % 3 === 0
            ? database.write(async (tx) => {
                await tx.update(counters).set({ value: 1000 }).where(eq(counters.name, 'a'));
                await tx.insert(counters).values({ name: `undone-${index}`, value: 1 });
                throw fault;
              })
            : add(),
        ),
      );
      expect(await readValue()).toBe(20);
      expect(await database.read.$count(counters)).toBe(1);
      const rejected = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(rejected).toHaveLength(10);
      for (const { reason } of rejected) expect(reason).toBe(fault);
    });

    test('a statement that fails is rolled back with its work; the next write is fine', async () => {
      const broken = database.write(async (tx) => {
        await tx.update(counters).set({ value: 5 }).where(eq(counters.name, 'a'));
        await tx.run(sql`INSERT INTO no_such_table VALUES (1)`);
      });
      await expect(broken).rejects.toThrow();
      expect(await readValue()).toBe(0);
      await add();
      expect(await readValue()).toBe(1);
    });

    test('a failed statement that the work survives takes only itself back', async () => {
      await database.write(async (tx) => {
        await tx.update(counters).set({ value: 5 }).where(eq(counters.name, 'a'));
        await expect(Promise.resolve(tx.insert(counters).values({ name: 'a', value: 1 }))).rejects.toThrow();
      });
      expect(await readValue()).toBe(5);
    });

    test.each<[ConstraintError['kind'], string]>([
      ['unique', "INSERT INTO counters VALUES ('a', 1)"],
      ['unique', "INSERT INTO notes VALUES (1, 'a', 'x'), (2, 'a', 'x')"],
      ['unique', "INSERT INTO notes VALUES (1, 'a', 'x'), (1, 'a', 'y')"],
      ['not-null', 'INSERT INTO counters VALUES (NULL, 1)'],
      ['not-null', "UPDATE counters SET value = NULL WHERE name = 'a'"],
      ['check', "INSERT INTO counters VALUES ('b', -1)"],
      ['foreign-key', "INSERT INTO notes VALUES (1, 'nobody', 'x')"],
    ])('a broken %s constraint says so by kind, without the statement', async (kind, statement) => {
      const error = await database
        .write((tx) => tx.run(sql.raw(statement)))
        .then(
          () => null,
          (reason: unknown) => reason,
        );
      expect(error).toBeInstanceOf(ConstraintError);
      expect((error as ConstraintError).kind).toBe(kind);
      expect((error as ConstraintError).message).not.toContain('INSERT');
      expect(await database.read.$count(notes)).toBe(0);
    });

    test('what refers to a deleted row goes with it', async () => {
      await database.write(async (tx) => {
        await tx.insert(notes).values({ id: 1, counter: 'a', body: 'x' });
      });
      await database.write((tx) => tx.delete(counters).where(eq(counters.name, 'a')));
      expect(await database.read.$count(notes)).toBe(0);
    });

    test('reads do not see what is not committed yet', async () => {
      const [inside, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const writing = database.write(async (tx) => {
        await tx.update(counters).set({ value: 99 }).where(eq(counters.name, 'a'));
        inside.resolve();
        await mayEnd.promise;
        throw new Error('rolled back');
      });
      await inside.promise;
      const reading = readValue();
      mayEnd.resolve();
      await expect(writing).rejects.toThrow('rolled back');
      expect(await reading).toBe(0);
    });

    test('values of every kind come back as they went in', async () => {
      const body = `quotes ' " ; -- \\ \n 🔑 end`;
      await database.write((tx) => tx.insert(notes).values({ id: 1, counter: 'a', body }));
      await database.write((tx) => tx.insert(notes).values({ id: 2 ** 53 - 1, counter: null, body: '' }));
      expect(await database.read.select().from(notes).orderBy(notes.id).all()).toEqual([
        { id: 1, counter: 'a', body },
        { id: 2 ** 53 - 1, counter: null, body: '' },
      ]);
    });

    test('a text with NUL comes back whole, or is refused', async () => {
      const body = 'before \u0000 after';
      const refusal = await database
        .write((tx) => tx.insert(notes).values({ id: 1, counter: 'a', body }))
        .then(
          () => null,
          (error: unknown) => error,
        );
      const kept = await database.read.select().from(notes).all();
      if (refusal === null) expect(kept).toEqual([{ id: 1, counter: 'a', body }]);
      else {
        expect(refusal).toMatchObject({ code: 'database/unsupported-value' });
        expect(kept).toEqual([]);
      }
    });

    test('the version is another one after a write, and stands while nothing is written', async () => {
      const before = database.version();
      if (before === null) return;
      await readValue();
      await new Promise(setImmediate);
      expect(database.version()).toBe(before);
      await add();
      expect(database.version()).not.toBe(before);
    });

    test('migrate runs all of its statements or none', async () => {
      await database.migrate([{ sql: 'CREATE TABLE later (x)' }, { sql: 'INSERT INTO later VALUES (?)', args: [1] }]);
      expect(await database.read.values(sql`SELECT x FROM later`)).toEqual([[1]]);
      const broken = database.migrate([{ sql: 'CREATE TABLE never (x)' }, { sql: 'INSERT INTO nowhere VALUES (1)' }]);
      await expect(broken).rejects.toThrow();
      expect(await database.read.values(sql`SELECT 1 FROM sqlite_schema WHERE name = 'never'`)).toEqual([]);
    });

    test('migrate may rebuild a table that others refer to, and loses none of them', async () => {
      await database.write((tx) => tx.insert(notes).values({ id: 1, counter: 'a', body: 'kept' }));
      await database.migrate([
        { sql: 'CREATE TABLE counters_new (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL, more TEXT)' },
        { sql: 'INSERT INTO counters_new SELECT name, value, NULL FROM counters' },
        { sql: 'DROP TABLE counters' },
        { sql: 'ALTER TABLE counters_new RENAME TO counters' },
      ]);
      expect(await database.read.select().from(notes).all()).toEqual([{ id: 1, counter: 'a', body: 'kept' }]);
    });

    test('migrate that would leave rows referring to nothing is undone, and constraints hold afterwards', async () => {
      await database.write((tx) => tx.insert(notes).values({ id: 1, counter: 'a', body: 'x' }));
      const error = await database.migrate([{ sql: "DELETE FROM counters WHERE name = 'a'" }]).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(ConstraintError);
      expect((error as ConstraintError).kind).toBe('foreign-key');
      expect(await readValue()).toBe(0);
      const dangling = database.write((tx) => tx.insert(notes).values({ id: 2, counter: 'nobody', body: 'x' }));
      await expect(dangling).rejects.toBeInstanceOf(ConstraintError);
    });

    test('closing finishes what was asked for, and refuses what comes later', async () => {
      const writes = Array.from({ length: 20 }, () => add());
      const closing = database.close();
      const late = add().then(
        () => null,
        (reason: unknown) => reason,
      );
      await closing;
      expect(await Promise.all(writes)).toHaveLength(20);
      const error = await late;
      expect(error).toBeInstanceOf(AppError);
      expect((error as AppError).code).toBe('database/unavailable');
      await database.close();
    });

    test('ping answers while it is open', async () => {
      await database.ping();
    });
  });
}
