import { sql } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';

/**
 * A process that writes row after row into the database of its first argument and tells of each one, once its write has
 * resolved. To be killed.
 */
const [path = ''] = process.argv.slice(2);
const database = await openEmbeddedDatabase({ name: 'main', path });
await database.write((tx) => tx.run(sql`CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY)`));

for (let next = 1; ; ) {
  const round = Array.from({ length: 10 }, () => next++);
  await Promise.all(
    round.map(async (id) => {
      await database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (${id})`));
      process.stdout.write(`${id}\n`);
    }),
  );
}
