import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { loadMigrations, type Migration, MigrationError, migrate, readHistory } from '../../src/db/migrate.ts';

const root = mkdtempSync(join(tmpdir(), 'bunkhouse-migrate-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

/** Migrations as files of a folder would be read. */
function migrations(files: Record<string, string>): Migration[] {
  const folder = join(root, `${++folders}`);
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return loadMigrations(folder);
}

const openMemory = () => openEmbeddedDatabase({ name: 'main', path: ':memory:' });
const tablesOf = async (database: Awaited<ReturnType<typeof openMemory>>) =>
  (await database.read.values<[string]>(sql`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`))
    .map(([name]) => name)
    .filter((name) => name !== 'bunkhouse_migrations');
const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (reason: unknown) => reason as Error,
  );

const ONE = { '0000_one.sql': 'CREATE TABLE one (id INTEGER PRIMARY KEY);' };
const TWO = {
  '0001_two.sql':
    'CREATE TABLE two (a INT);\n--> statement-breakpoint\nCREATE TABLE three (b INT);\n--> statement-breakpoint\n',
};

describe('reading migrations', () => {
  test('sorts them by number, parts their statements and passes over other files', () => {
    const read = migrations({
      ...TWO,
      ...ONE,
      'readme.md': 'x',
      '01_short.sql': 'x',
      '0002.sql': 'x',
      'meta.json': '{}',
    });
    expect(read.map(({ name, statements }) => [name, statements.length])).toEqual([
      ['0000_one', 1],
      ['0001_two', 2],
    ]);
    expect(read[0]?.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('the own ones are numbered without a gap', () => {
    expect(loadMigrations().map(({ name }) => Number(name.slice(0, 4)))).toEqual(
      loadMigrations().map((_, index) => index),
    );
  });
});

describe('migrating', () => {
  test('applies what is pending once, in order', async () => {
    const database = await openMemory();
    expect(await migrate(database, migrations(ONE))).toEqual(['0000_one']);
    const both = migrations({ ...ONE, ...TWO });
    expect(await migrate(database, both)).toEqual(['0001_two']);
    expect(await migrate(database, both)).toEqual([]);
    expect(await tablesOf(database)).toEqual(['one', 'three', 'two']);
    expect((await readHistory(database)).map(([name]) => name)).toEqual(['0000_one', '0001_two']);
    await database.close();
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'a migration that was edited after it had been applied',
      { '0000_one.sql': 'CREATE TABLE one (id INT);' },
      /0000_one was edited/,
    ],
    ['a database that a newer version used', TWO, /has migration 0000_one, which this version does not know/],
    [
      'a new migration that sorts before an applied one',
      { ...ONE, ...TWO, '0000_before.sql': 'SELECT 1' },
      /0000_before sorts before 0000_one/,
    ],
  ])('refuses %s and changes nothing', async (_what, files, message) => {
    const database = await openMemory();
    await migrate(database, migrations(ONE));
    const error = await failure(migrate(database, migrations(files)));
    expect(error).toBeInstanceOf(MigrationError);
    expect(error?.message).toMatch(message);
    expect(await tablesOf(database)).toEqual(['one']);
    expect((await readHistory(database)).map(([name]) => name)).toEqual(['0000_one']);
    await database.close();
  });

  test('a statement that fails undoes all that was pending', async () => {
    const database = await openMemory();
    const broken = {
      ...ONE,
      ...TWO,
      '0002_broken.sql': 'CREATE TABLE four (x);\n--> statement-breakpoint\nINSERT INTO nowhere VALUES (1)',
    };
    expect(await failure(migrate(database, migrations(broken)))).toBeInstanceOf(Error);
    expect(await tablesOf(database)).toEqual([]);
    expect(await migrate(database, migrations({ ...ONE, ...TWO }))).toEqual(['0000_one', '0001_two']);
    await database.close();
  });

  test('rows that would refer to nothing undo all that was pending', async () => {
    const database = await openMemory();
    const family = {
      '0000_family.sql': `CREATE TABLE parent (id INTEGER PRIMARY KEY);
--> statement-breakpoint
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id) ON DELETE CASCADE);
--> statement-breakpoint
INSERT INTO parent VALUES (1);
--> statement-breakpoint
INSERT INTO child VALUES (1, 1);`,
    };
    await migrate(database, migrations(family));
    const error = await failure(migrate(database, migrations({ ...family, '0001_orphan.sql': 'DELETE FROM parent;' })));
    expect(error).toBeInstanceOf(MigrationError);
    expect(await database.read.values(sql`SELECT * FROM child`)).toEqual([[1, 1]]);
    expect(await database.read.values(sql`SELECT * FROM parent`)).toEqual([[1]]);

    // What drizzle-kit writes to change a table that others refer to.
    const rebuild = {
      '0001_rebuild.sql': `PRAGMA foreign_keys=OFF;
--> statement-breakpoint
CREATE TABLE __new_parent (id INTEGER PRIMARY KEY, name TEXT);
--> statement-breakpoint
INSERT INTO __new_parent(id) SELECT id FROM parent;
--> statement-breakpoint
DROP TABLE parent;
--> statement-breakpoint
ALTER TABLE __new_parent RENAME TO parent;
--> statement-breakpoint
PRAGMA foreign_keys=ON;`,
    };
    expect(await migrate(database, migrations({ ...family, ...rebuild }))).toEqual(['0001_rebuild']);
    expect(await database.read.values(sql`SELECT * FROM child`)).toEqual([[1, 1]]);
    await database.write((tx) => tx.run(sql`DELETE FROM parent`));
    expect(await database.read.values(sql`SELECT * FROM child`)).toEqual([]);
    await database.close();
  });

  test('two that start at once apply each migration once', async () => {
    const path = join(root, `${++folders}`, 'main.db');
    const databases = await Promise.all([1, 2, 3].map(() => openEmbeddedDatabase({ name: 'main', path })));
    const applied = await Promise.all(databases.map((database) => migrate(database, loadMigrations())));
    expect(applied.flat().sort()).toEqual(loadMigrations().map(({ name }) => name));
    for (const database of databases) await database.close();
  });

  test('two processes that start at once apply each migration once', async () => {
    const path = join(root, `${++folders}`, 'main.db');
    const script = join(import.meta.dirname, '../support/migrator.ts');
    const children = [1, 2, 3].map(() =>
      Bun.spawn([process.execPath, script, path], { stdout: 'pipe', stderr: 'inherit' }),
    );
    const applied = await Promise.all(
      children.map(async (child) => JSON.parse(await new Response(child.stdout).text()) as string[]),
    );
    expect(applied.flat().sort()).toEqual(loadMigrations().map(({ name }) => name));
  });

  test('keeps a copy of a database that has been used, and of the last three only', async () => {
    const folder = join(root, `${++folders}`);
    const database = await openEmbeddedDatabase({ name: 'main', path: join(folder, 'main.db') });
    const snapshotDir = join(folder, 'snapshots');
    let files: Record<string, string> = ONE;
    await migrate(database, migrations(files), { snapshotDir });
    expect(readdirSync(folder)).not.toContain('snapshots');
    await database.write((tx) => tx.run(sql`INSERT INTO one VALUES (42)`));
    for (let step = 1; step <= 5; step++) {
      files = { ...files, [`000${step}_step.sql`]: `CREATE TABLE step${step} (x);` };
      await migrate(database, migrations(files), { snapshotDir });
    }
    const kept = readdirSync(snapshotDir).sort();
    expect(kept).toHaveLength(3);
    expect(kept.at(-1)).toEndWith('-after-0004_step.db');
    const copy = await openEmbeddedDatabase({ name: 'copy', path: join(snapshotDir, kept.at(-1) as string) });
    expect(await copy.read.values(sql`SELECT id FROM one`)).toEqual([[42]]);
    expect(await tablesOf(copy)).not.toContain('step5');
    await copy.close();
    await database.close();
  });
});

test('a plugin brings migrations of its own, with a history of its own', async () => {
  const database = await openEmbeddedDatabase({ name: 'main', path: ':memory:' });
  const own = [{ name: '0000_one', hash: 'a', statements: ['CREATE TABLE one (id)'] }];
  const plugins = [{ name: '0000_one', hash: 'b', statements: ['CREATE TABLE plugin_one (id)'] }];
  expect(await migrate(database, own)).toEqual(['0000_one']);
  expect(await migrate(database, plugins, { source: 'guestbook' })).toEqual(['0000_one']);
  expect(await migrate(database, own)).toEqual([]);
  expect(await migrate(database, plugins, { source: 'guestbook' })).toEqual([]);
  expect(await migrate(database, plugins, { source: 'x; DROP' }).catch((error: Error) => error.name)).toBe(
    'MigrationError',
  );
  await database.close();
});
