import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { ConstraintError, type Database, type SqlStatement } from '../ports/database.ts';

/** A numbered SQL file: `0001_name.sql`, statements parted by `--> statement-breakpoint`. */
export interface Migration {
  readonly name: string;
  /** SHA-256 of the file, lower-case hex. */
  readonly hash: string;
  readonly statements: readonly string[];
}

/** The history in the database and the files disagree, or a migration left broken references. Nothing was changed. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/** Those of the house itself. */
const OWN_MIGRATIONS = join(import.meta.dirname, '../../drizzle');

/** Reads the migrations of a folder in the order of their numbers. */
export function loadMigrations(directory: string = OWN_MIGRATIONS): Migration[] {
  return readdirSync(directory)
    .filter((file) => /^\d{4}_.+\.sql$/.test(file))
    .sort()
    .map((file) => {
      const text = readFileSync(join(directory, file), 'utf8');
      return {
        name: file.replace(/\.sql$/, ''),
        hash: createHash('sha256').update(text).digest('hex'),
        statements: text
          .split('--> statement-breakpoint')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      };
    });
}

/** Each source of migrations, the house or a plugin, has a history of its own. */
function historyTable(source: string | undefined): string {
  if (source === undefined) return 'bunkhouse_migrations';
  if (!/^[a-z][a-z0-9_]{0,40}$/.test(source))
    throw new MigrationError('a source of migrations is named by a-z, 0-9 and _');
  return `bunkhouse_migrations_${source}`;
}

export interface MigrateOptions {
  /** Where a copy of the database is kept before it is changed; none is made of a database that is new. */
  readonly snapshotDir?: string | undefined;
  /** Whose migrations these are: a plugin's name; the house's own when left out. */
  readonly source?: string | undefined;
}

/**
 * Applies what is pending, in one transaction. Two machines that start at once are kept apart by the history itself: the second
 * finds its first entry taken, nothing of it is applied, and it looks again.
 * @returns the names that were applied.
 * @throws MigrationError when an applied file was edited or is gone, a new one sorts before an applied one, or a migration would
 * leave rows that refer to nothing.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
  options: MigrateOptions = {},
): Promise<string[]> {
  const { snapshotDir, source } = options;
  const table = historyTable(source);
  const applied = await readHistory(database, source);
  const pending = findPending(applied, migrations);
  if (pending.length === 0) return [];
  if (snapshotDir !== undefined && applied.length > 0) await keepSnapshot(database, snapshotDir, applied);

  const statements: SqlStatement[] = pending.flatMap(({ name, hash, statements }) => [
    {
      sql: `INSERT INTO ${table} (name, hash, applied_at) VALUES (?, ?, ?)`,
      args: [name, hash, Date.now()],
    },
    ...statements.map((sql) => ({ sql })),
  ]);
  try {
    const history = `CREATE TABLE IF NOT EXISTS ${table} (
      name text PRIMARY KEY NOT NULL, hash text NOT NULL, applied_at integer NOT NULL)`;
    await database.migrate([{ sql: history }, ...statements]);
  } catch (error) {
    if (!(error instanceof ConstraintError)) throw error;
    if (error.kind === 'foreign-key') {
      throw new MigrationError('the migrations would leave rows that refer to rows that do not exist', {
        cause: error,
      });
    }
    const isTaken = findPending(await readHistory(database, source), migrations).length < pending.length;
    if (!isTaken) throw error;
    return migrate(database, migrations, options);
  }
  return pending.map(({ name }) => name);
}

/** What {@link migrate} would apply. Throws MigrationError as it does. */
export async function pendingMigrations(database: Database, migrations: readonly Migration[]): Promise<Migration[]> {
  return findPending(await readHistory(database), migrations);
}

/** Names and hashes of what was applied, in order; none for a new database. `source` as in {@link MigrateOptions}. */
export async function readHistory(database: Database, source?: string): Promise<[string, string][]> {
  const table = historyTable(source);
  const [exists] = await database.read.values(sql`SELECT 1 FROM sqlite_schema WHERE name = ${table}`);
  if (!exists) return [];
  return database.read.values<[string, string]>(sql`SELECT name, hash FROM ${sql.identifier(table)} ORDER BY name`);
}

/** How many copies are kept for each database. */
const SNAPSHOTS_KEPT = 3;

async function keepSnapshot(
  database: Database,
  directory: string,
  applied: readonly [string, string][],
): Promise<void> {
  if (!database.snapshot) return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const prefix = `${database.name}-`;
  const stamp = new Date().toISOString().replace(/[:.]/g, '-');
  await database.snapshot(join(directory, `${prefix}${stamp}-after-${applied.at(-1)?.[0]}.db`));
  const kept = readdirSync(directory)
    .filter((file) => file.startsWith(prefix))
    .sort();
  for (const file of kept.slice(0, -SNAPSHOTS_KEPT)) rmSync(join(directory, file));
}

function findPending(applied: readonly [string, string][], migrations: readonly Migration[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const [name, hash] of applied) {
    const migration = known.get(name);
    if (!migration)
      throw new MigrationError(
        `the database has migration ${name}, which this version does not know: it was used by a newer one`,
      );
    if (migration.hash !== hash) throw new MigrationError(`migration ${name} was edited after it had been applied`);
  }
  const last = applied.at(-1)?.[0] ?? '';
  const done = new Set(applied.map(([name]) => name));
  const pending = migrations.filter(({ name }) => !done.has(name));
  const late = pending.find(({ name }) => name < last);
  if (late) throw new MigrationError(`migration ${late.name} sorts before ${last}, which is applied already`);
  return pending;
}
