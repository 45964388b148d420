import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import type { Database } from '../ports/database.ts';

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

/**
 * Applies what is pending, all in one transaction, which is also the lock: a second starter waits, then finds nothing to do.
 * @returns the names that were applied.
 * @throws MigrationError when an applied file was edited or is gone, or a new one sorts before an applied one.
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  return database.write(async (tx) => {
    await tx.run(sql`CREATE TABLE IF NOT EXISTS bunkhouse_migrations (
      name text PRIMARY KEY NOT NULL, hash text NOT NULL, applied_at integer NOT NULL)`);
    const applied = await tx.values<[string, string]>(sql`SELECT name, hash FROM bunkhouse_migrations ORDER BY name`);
    const pending = findPending(applied, migrations);
    for (const migration of pending) {
      for (const statement of migration.statements) await tx.run(sql.raw(statement));
      await tx.run(sql`INSERT INTO bunkhouse_migrations VALUES (${migration.name}, ${migration.hash}, ${Date.now()})`);
    }
    if (pending.length > 0) {
      const broken = await tx.values(sql`PRAGMA foreign_key_check`);
      if (broken.length > 0) throw new MigrationError(`${broken.length} rows would refer to rows that do not exist`);
    }
    return pending.map(({ name }) => name);
  });
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
