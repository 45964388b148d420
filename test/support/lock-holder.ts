import { Database as Sqlite } from 'bun:sqlite';

/** A process that takes the write lock of a database file, says so, and holds it until its input ends. */
const [path = ''] = process.argv.slice(2);
const connection = new Sqlite(path, { readwrite: true, create: false });
connection.run('PRAGMA busy_timeout = 5000');
connection.run('BEGIN IMMEDIATE');
process.stdout.write('locked\n');
for await (const _ of Bun.stdin.stream()) {
  // Nothing is said; only the end counts.
}
connection.run('COMMIT');
connection.close();
