import { databaseProblems } from '../kernel/problems.ts';
import { parseRemoteAddress } from './remote-address.ts';
import { statementsOf } from './sql-statements.ts';

/** A database on a libSQL server. */
export interface DumpSource {
  readonly url: string;
  readonly authToken?: string | undefined;
}

/** How long the server may take to begin, and then be silent, in milliseconds. */
const SILENCE_MS = 60_000;

/** All that a dump has. What comes from elsewhere is not run when it is anything else: no other file, no extension. */
const ALLOWED = [
  /^PRAGMA (?:foreign_keys|writable_schema)\s*=\s*(?:ON|OFF)$/i,
  /^BEGIN(?: TRANSACTION)?$/i,
  /^COMMIT$/i,
  /^CREATE (?:TABLE|INDEX|UNIQUE INDEX|TRIGGER|VIEW|VIRTUAL TABLE)\b/i,
  /^INSERT INTO\b/i,
  /^DELETE FROM sqlite_sequence$/i,
  /^ANALYZE sqlite_schema$/i,
];
/** Only libSQL can make such an index, and it is made of what the rows hold. */
const VECTOR_INDEX = /^CREATE INDEX\b.*\blibsql_vector_idx\s*\(/is;

/**
 * Writes what a libSQL server has into a new SQLite file, as of one moment, by its `/dump`. It holds this thread for long, so it belongs
 * in a process of its own. Vector indexes are left out.
 * @throws `database/unavailable` when the server does not answer as it should, stops in the middle or sends anything but a dump.
 */
export async function loadDump({ url, authToken }: DumpSource, target: string): Promise<void> {
  const address = parseRemoteAddress(url);
  const token = authToken ?? address.authToken;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  // Bun's SQLite refuses what a dump does to make virtual tables.
  const { default: Libsql } = await import('libsql');
  const database = new Libsql(target);
  try {
    // The file is of use when it is complete, and removed when it is not.
    for (const pragma of ['journal_mode = OFF', 'synchronous = OFF', 'trusted_schema = OFF'])
      database.exec(`PRAGMA ${pragma}`);
    const response = await fetch(new URL('dump', address.url), {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: silence.signal,
    }).catch((cause: unknown) => {
      throw unavailable('it cannot be reached', cause);
    });
    if (!response.ok || !response.body) throw unavailable(`it answers ${response.status}`);
    let last = '';
    for await (const statement of statementsOf(decoded(response.body, alive))) {
      last = statement;
      if (!ALLOWED.some((form) => form.test(statement))) throw unavailable('it sends what belongs in no dump');
      if (!VECTOR_INDEX.test(statement)) database.exec(statement);
    }
    if (!/^COMMIT$/i.test(last)) throw unavailable('its dump ended early');
  } finally {
    clearTimeout(timer);
    database.close();
  }
}

async function* decoded(body: ReadableStream<Uint8Array>, alive: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body) {
      alive();
      yield decoder.decode(chunk, { stream: true });
    }
  } catch (cause) {
    throw unavailable('its dump broke off', cause);
  }
}

function unavailable(reason: string, cause?: unknown) {
  return databaseProblems.create('unavailable', {
    cause: new Error(`dump of a remote database: ${reason}`, { cause }),
  });
}
