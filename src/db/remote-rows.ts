import { Database as Sqlite } from 'bun:sqlite';
import type { InStatement } from '@libsql/core/api';
import type { AccountRow, FileRow } from '../ports/database-images.ts';
import { silentLog } from '../ports/logger.ts';
import { openRemoteDatabase } from './remote.ts';
import type { DumpSource } from './remote-dump.ts';

/** Rows that are asked for at a time, well within what a server answers at most. */
const PAGE = 500;

/**
 * Files of an owner in a database on a server. Each comes as it was when its page was read: pages go by id, which no change touches.
 * A temporary database sorts them, so that memory stays bounded.
 */
export async function* readRemoteFiles(source: DumpSource, columns: string, ownerId: string) {
  const remote = openRemoteDatabase({ name: 'main', url: source.url, authToken: source.authToken, log: silentLog });
  const sorter = new Sqlite('');
  try {
    sorter.run('CREATE TABLE rows (sha256 TEXT, id TEXT, body TEXT)');
    const insert = sorter.prepare('INSERT INTO rows VALUES (?, ?, ?)');
    const sql = `SELECT ${columns} FROM files WHERE owner_id = ? AND id > ? ORDER BY id LIMIT ${PAGE}`;
    for (let after = ''; ; ) {
      const rows = await query<FileRow>(remote, { sql, args: [ownerId, after] });
      sorter.transaction(() => {
        for (const row of rows) insert.run(row.sha256, row.id, JSON.stringify(row));
      })();
      if (rows.length < PAGE) break;
      after = rows.at(-1)?.id as string;
    }
    insert.finalize();
    const sorted = sorter.prepare<{ body: string }, []>('SELECT body FROM rows ORDER BY sha256, id');
    for (const { body } of sorted.iterate()) yield JSON.parse(body) as FileRow;
    sorted.finalize();
  } finally {
    sorter.close();
    await remote.close();
  }
}

/** @param sql takes an id or an address as its only argument. */
export async function readRemoteAccount(
  source: DumpSource,
  sql: string,
  idOrEmail: string,
): Promise<AccountRow | null> {
  const remote = openRemoteDatabase({ name: 'main', url: source.url, authToken: source.authToken, log: silentLog });
  try {
    return (await query<AccountRow>(remote, { sql, args: [idOrEmail] }))[0] ?? null;
  } finally {
    await remote.close();
  }
}

async function query<Row>(
  remote: Pick<ReturnType<typeof openRemoteDatabase>, 'query'>,
  statement: InStatement,
): Promise<Row[]> {
  const { columns, rows } = await remote.query(statement);
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])) as Row);
}
