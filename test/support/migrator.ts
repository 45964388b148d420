import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../src/db/migrate.ts';

/** A process that migrates the database of its first argument and tells what it applied, as a starting server does. */
const [path = ''] = process.argv.slice(2);
const database = await openEmbeddedDatabase({ name: 'main', path });
process.stdout.write(JSON.stringify(await migrate(database, loadMigrations())));
await database.close();
