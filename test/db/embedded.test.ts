import { Database as Sqlite } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { libsqlEngine } from '../../src/db/libsql-engine.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { describeDatabase } from '../contracts/database.ts';
import { eventually } from '../support/eventually.ts';

const root = mkdtempSync(join(tmpdir(), 'bunkhouse-db-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(root, `${++files}`, 'main.db');
const support = (script: string) => join(import.meta.dirname, '../support', script);

describeDatabase('a file', { open: () => openEmbeddedDatabase({ name: 'main', path: newPath() }) });
describeDatabase('a file by native libSQL', {
  open: () => openEmbeddedDatabase({ name: 'main', path: newPath(), engine: libsqlEngine }),
});
describeDatabase('memory', { open: () => openEmbeddedDatabase({ name: 'main', path: ':memory:' }) });

const openCounter = async (path: string, busyTimeoutMs?: number) => {
  const options = { name: 'main', path, ...(busyTimeoutMs === undefined ? {} : { busyTimeoutMs }) };
  const database = await openEmbeddedDatabase(options);
  await database.write((tx) => tx.run(sql`CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY)`));
  return database;
};
const idsOf = (path: string) => {
  const connection = new Sqlite(path, { readonly: true });
  try {
    return connection
      .query<{ id: number }, []>('SELECT id FROM kept ORDER BY id')
      .all()
      .map(({ id }) => id);
  } finally {
    connection.close();
  }
};
const codeOf = (reason: unknown) => (reason instanceof AppError ? reason.code : String(reason));

describe('a database file', () => {
  test('has a log beside it, and its folder is for its owner only', async () => {
    const path = newPath();
    await using opened = { database: await openCounter(path), [Symbol.asyncDispose]: () => opened.database.close() };
    expect(await opened.database.read.values(sql`PRAGMA journal_mode`)).toEqual([['wal']]);
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(statSync(join(path, '..')).mode & 0o077).toBe(0);
  });

  test('keeps what was written for the next who opens it', async () => {
    const path = newPath();
    const first = await openCounter(path);
    await first.write((tx) => tx.run(sql`INSERT INTO kept VALUES (7)`));
    await first.close();
    const second = await openCounter(path);
    expect(await second.read.values(sql`SELECT id FROM kept`)).toEqual([[7]]);
    await second.close();
  });

  test('reads cannot write', async () => {
    const database = await openCounter(newPath());
    await expect(Promise.resolve(database.read.run(sql`INSERT INTO kept VALUES (1)`))).rejects.toThrow();
    expect(await database.read.values(sql`SELECT id FROM kept`)).toEqual([]);
    await database.close();
  });

  test('reads go on while a write is open', async () => {
    const database = await openCounter(newPath());
    const [inside, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const writing = database.write(async (tx) => {
      await tx.run(sql`INSERT INTO kept VALUES (1)`);
      inside.resolve();
      await mayEnd.promise;
    });
    await inside.promise;
    expect(await database.read.values(sql`SELECT count(*) FROM kept`)).toEqual([[0]]);
    mayEnd.resolve();
    await writing;
    expect(await database.read.values(sql`SELECT count(*) FROM kept`)).toEqual([[1]]);
    await database.close();
  });

  test('has another version after a write through another connection', async () => {
    const path = newPath();
    const [here, there] = [await openCounter(path), await openCounter(path)];
    const before = here.version();
    await there.write((tx) => tx.run(sql`INSERT INTO kept VALUES (1)`));
    await new Promise(setImmediate);
    expect(here.version()).not.toBe(before);
    expect(await here.read.values(sql`SELECT id FROM kept`)).toEqual([[1]]);
    await here.close();
    await there.close();
  });

  test('two who write at once both get their turn', async () => {
    const path = newPath();
    const [here, there] = [await openCounter(path), await openCounter(path)];
    await Promise.all(
      Array.from({ length: 40 }, (_, id) =>
        (id % 2 ? here : there).write((tx) => tx.run(sql`INSERT INTO kept VALUES (${id})`)),
      ),
    );
    expect(idsOf(path)).toHaveLength(40);
    await here.close();
    await there.close();
  });

  test('what is no database is refused with a reason', async () => {
    const path = newPath();
    await Bun.write(path, 'this is no database file, it is a letter to a friend'.repeat(100));
    const error = await openEmbeddedDatabase({ name: 'main', path }).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(codeOf(error)).toBe('database/corrupt');
  });

  test('a snapshot is a whole database of its own', async () => {
    const path = newPath();
    const database = await openCounter(path);
    await database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (1), (2)`));
    const target = join(path, '..', 'copy.db');
    await database.snapshot?.(target);
    await database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (3)`));
    expect(idsOf(target)).toEqual([1, 2]);
    await database.close();
  });
});

describe('another process that holds the write lock', () => {
  const holdLock = async (path: string) => {
    const child = Bun.spawn([process.execPath, support('lock-holder.ts'), path], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const reader = child.stdout.getReader();
    await reader.read();
    return {
      async release() {
        child.stdin.end();
        await child.exited;
      },
    };
  };

  test('is waited for, and the event loop runs meanwhile', async () => {
    const path = newPath();
    const database = await openCounter(path);
    const lock = await holdLock(path);
    let isDone = false;
    const writing = database
      .write((tx) => tx.run(sql`INSERT INTO kept VALUES (1)`))
      .then(() => {
        isDone = true;
      });
    let [turns, longest, last] = [0, 0, performance.now()];
    await eventually(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      return ++turns >= 40;
    });
    expect(isDone).toBe(false);
    expect(longest).toBeLessThan(1000);
    expect(await database.read.values(sql`SELECT count(*) FROM kept`)).toEqual([[0]]);
    await lock.release();
    await writing;
    expect(idsOf(path)).toEqual([1]);
    await database.close();
  });

  test('for too long is answered with busy, and the next write is fine', async () => {
    const path = newPath();
    const database = await openCounter(path, 300);
    const lock = await holdLock(path);
    const outcomes = await Promise.all(
      [1, 2, 3].map((id) =>
        database
          .write((tx) => tx.run(sql`INSERT INTO kept VALUES (${id})`))
          .then(
            () => 'written',
            (reason: unknown) => `${codeOf(reason)} ${reason instanceof AppError ? reason.retryAfterSeconds : ''}`,
          ),
      ),
    );
    expect(new Set(outcomes)).toEqual(new Set(['database/busy 1']));
    await lock.release();
    await database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (4)`));
    expect(idsOf(path)).toEqual([4]);
    await database.close();
  });

  test('does not keep a migration from leaving constraints in force', async () => {
    const path = newPath();
    const database = await openCounter(path, 300);
    await database.write((tx) => tx.run(sql`CREATE TABLE child (id INTEGER REFERENCES kept(id))`));
    const lock = await holdLock(path);
    const migrating = database.migrate([{ sql: 'CREATE TABLE more (x)' }]).then(
      () => 'migrated',
      (reason: unknown) => codeOf(reason),
    );
    expect(await migrating).toBe('database/busy');
    await lock.release();
    const dangling = database.write((tx) => tx.run(sql`INSERT INTO child VALUES (99)`));
    await expect(dangling).rejects.toThrow('foreign-key');
    await database.close();
  });
});

describe('a writing process that is killed', () => {
  test('has lost nothing that it had acknowledged', async () => {
    const path = newPath();
    for (let round = 0; round < 3; round++) {
      rmSync(join(path, '..'), { recursive: true, force: true });
      const child = Bun.spawn([process.execPath, support('database-writer.ts'), path], {
        stdout: 'pipe',
        stderr: 'inherit',
      });
      let told = '';
      const listening = (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of child.stdout) told += decoder.decode(chunk, { stream: true });
      })();
      await eventually(() => told.split('\n').length > 200 + 50 * round, 20_000);
      child.kill('SIGKILL');
      await Promise.all([child.exited, listening]);
      // The last line may have been cut.
      const acknowledged = told.split('\n').slice(0, -1).map(Number);
      const kept = new Set(idsOf(path));
      expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
      expect(acknowledged.length).toBeGreaterThan(100);
      const reopened = await openEmbeddedDatabase({ name: 'main', path });
      expect(await reopened.read.values(sql`PRAGMA integrity_check`)).toEqual([['ok']]);
      await reopened.close();
    }
  });
});
