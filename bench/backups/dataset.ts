import { Database as Sqlite } from 'bun:sqlite';
import { randomBytes, randomFillSync } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../src/db/migrate.ts';
import { diskObjectStore } from '../../src/drivers/disk-object-store.ts';
import { uuidv7 } from '../../src/kernel/ids.ts';

export interface DatasetSize {
  readonly databaseBytes: number;
  readonly files: number;
  readonly fileBytes: number;
}

export interface Dataset extends DatasetSize {
  readonly dataDir: string;
  /** Bytes of the database file and of all files. */
  readonly bytes: number;
}

const AT_ONCE = 8;
const PAGE_BYTES = 4_096;
/** Their average is 1. */
const PARTS = [0.25, 0.5, 1, 2.25];

/**
 * A data directory as a server leaves it. Files are of many sizes and, like the rows, half text that compresses and half bytes that
 * do not, as pictures are.
 */
export async function makeDataset(dataDir: string, size: DatasetSize): Promise<Dataset> {
  const path = join(dataDir, 'main.db');
  const database = await openEmbeddedDatabase({ name: 'main', path });
  await migrate(database, loadMigrations());
  await database.close();
  const connection = new Sqlite(path);
  connection.run('PRAGMA synchronous = OFF');
  const ownerId = uuidv7();
  connection.run(
    `INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at) VALUES (?, ?, '', 'user', '-', 0, 0)`,
    [ownerId, 'files@example.org'],
  );
  await addFiles(connection, join(dataDir, 'objects'), ownerId, size);
  addRows(connection, size.databaseBytes);
  connection.close();
  return { ...size, dataDir, bytes: statSync(path).size + size.fileBytes };
}

async function addFiles(connection: Sqlite, root: string, ownerId: string, { files, fileBytes }: DatasetSize) {
  const objects = diskObjectStore({ root });
  const insert = connection.prepare(
    `INSERT INTO files (id, owner_id, name, size, type, sha256, visibility, object_key, created_at, updated_at)
     VALUES (?, ?, ?, ?, 'application/octet-stream', ?, 'private', ?, 0, 0)`,
  );
  const content = contents();
  const numbers = Array.from({ length: files }, (_, n) => n).values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const number of numbers) {
        const body = content(sizeOf(number, files, fileBytes));
        const id = uuidv7();
        const objectKey = `files/${id}/${randomBytes(9).toString('base64url')}`;
        const { sha256, size } = await objects.put(
          objectKey,
          (async function* () {
            yield body;
          })(),
        );
        await objects.settle(objectKey);
        insert.run(id, ownerId, `${number}.bin`, size, sha256, objectKey);
      }
    }),
  );
}

/** Small ones and large ones; of each four one has a quarter of the average, one half, one all, and one more than twice of it. */
function sizeOf(number: number, files: number, fileBytes: number): number {
  return Math.floor((fileBytes / files) * (PARTS[number % PARTS.length] as number));
}

/** Makes contents that differ. */
function contents(): (bytes: number) => Buffer {
  const text = Buffer.from(
    Array.from({ length: 2 ** 16 }, (_, n) => `{"id":${n},"name":"item ${n * 7_919}","price":${n % 997}}\n`).join(''),
  );
  return (bytes) => {
    const body = Buffer.allocUnsafe(bytes);
    // All of it new: what comes twice would be stored once by some.
    randomFillSync(body, 0, bytes >> 1);
    fill(body.subarray(bytes >> 1), text);
    return body;
  };
}

function fill(target: Buffer, source: Buffer): void {
  for (let at = 0; at < target.length; ) {
    const from = Math.floor(Math.random() * (source.length / 2));
    at += source.copy(target, at, from, Math.min(source.length, from + target.length - at));
  }
}

function addRows(connection: Sqlite, bytes: number): void {
  connection.run('CREATE TABLE items (id TEXT PRIMARY KEY, body TEXT NOT NULL, picture BLOB NOT NULL)');
  const insert = connection.prepare('INSERT INTO items VALUES (?, ?, ?)');
  const content = contents();
  const addSome = connection.transaction(() => {
    for (let row = 0; row < 2_000; row++) {
      const body = content(2_000);
      insert.run(uuidv7(), body.toString('latin1', 1_000).replaceAll(/[^\x20-\x7e]/g, ' '), body.subarray(0, 1_000));
    }
  });
  const pages = connection.prepare('PRAGMA page_count');
  while ((pages.values()[0]?.[0] as number) * PAGE_BYTES < bytes) addSome();
  connection.run('PRAGMA wal_checkpoint(TRUNCATE)');
}
