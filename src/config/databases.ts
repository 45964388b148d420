import type { Environment } from './load.ts';
import { ValueFault } from './values.ts';

/** Where one named database is and how it is reached. */
export type DatabaseSettings =
  | { readonly kind: 'memory'; readonly name: string }
  | {
      readonly kind: 'file';
      readonly name: string;
      /** As written: absolute or relative to the working directory; null for the default place. */
      readonly path: string | null;
      readonly engine: 'sqlite' | 'libsql';
      readonly encryptionKey: string | undefined;
    }
  | {
      readonly kind: 'remote';
      readonly name: string;
      readonly url: string;
      readonly authToken: string | undefined;
      /** File of an embedded replica, if there is to be one. */
      readonly replicaPath: string | undefined;
    };

/** The suffixes of `DATABASE_…` and `DATABASE_<NAME>_…`. */
const SUFFIXES = ['URL', 'AUTH_TOKEN', 'REPLICA_PATH', 'ENGINE', 'ENCRYPTION_KEY'] as const;
type Suffix = (typeof SUFFIXES)[number];
type Parts = Partial<Record<Suffix, string>>;

const REMOTE = /^(https?|wss?|libsql):\/\/./;

/**
 * Reads the databases: `main` from `DATABASE_…` (or `TURSO_…`), and one for each `DATABASE_<NAME>_URL`, named in lower case.
 * @param faults takes what is wrong, by variable; no value is repeated.
 */
export function readDatabases(env: Environment, faults: string[]): DatabaseSettings[] {
  const main: Parts = pick((suffix) => env[`DATABASE_${suffix}`]?.trim() || turso(env, suffix));
  const names = new Set<string>();
  for (const [variable, value] of Object.entries(env)) {
    const match = /^DATABASE_([A-Z][A-Z0-9_]*?)_(URL|AUTH_TOKEN|REPLICA_PATH|ENGINE|ENCRYPTION_KEY)$/.exec(variable);
    if (match && value?.trim()) names.add(match[1] as string);
  }
  return [
    ...read('main', 'DATABASE', main, faults),
    ...[...names].sort().flatMap((name) => {
      const prefix = `DATABASE_${name}`;
      const parts = pick((suffix) => env[`${prefix}_${suffix}`]?.trim() || undefined);
      if (name === 'MAIN') faults.push(`${prefix}_URL names the main database: use DATABASE_URL`);
      else if (parts.URL === undefined) faults.push(`${prefix}_URL is missing`);
      else return read(name.toLowerCase(), prefix, parts, faults);
      return [];
    }),
  ];
}

/** Values that must not be shown. */
export function secretsOf(databases: readonly DatabaseSettings[]): string[] {
  return databases.flatMap((database) => {
    if (database.kind === 'remote') return database.authToken ?? [];
    return database.kind === 'file' ? (database.encryptionKey ?? []) : [];
  });
}

function read(name: string, prefix: string, parts: Parts, faults: string[]): DatabaseSettings[] {
  try {
    return [toSettings(name, parts)];
  } catch (error) {
    if (!(error instanceof ValueFault)) throw error;
    faults.push(`${prefix}_${error.message}`);
    return [];
  }
}

function toSettings(name: string, parts: Parts): DatabaseSettings {
  const { URL: url, AUTH_TOKEN: authToken, REPLICA_PATH: replicaPath, ENCRYPTION_KEY: encryptionKey } = parts;
  if (url !== undefined && REMOTE.test(url)) {
    if (!URL.canParse(url)) throw new ValueFault('URL is not a URL');
    if (parts.ENGINE !== undefined) throw new ValueFault('ENGINE is for file: databases only');
    return { kind: 'remote', name, url, authToken, replicaPath };
  }
  if (replicaPath !== undefined) throw new ValueFault('REPLICA_PATH needs a remote URL');
  if (authToken !== undefined) throw new ValueFault('AUTH_TOKEN needs a remote URL');
  if (url === ':memory:') return { kind: 'memory', name };
  if (url !== undefined && !/^file:./.test(url)) {
    throw new ValueFault('URL must start with file:, http:, https:, ws:, wss: or libsql:, or be :memory:');
  }
  const engine = parts.ENGINE ?? 'sqlite';
  if (engine !== 'sqlite' && engine !== 'libsql') throw new ValueFault('ENGINE must be one of sqlite, libsql');
  if (encryptionKey !== undefined && engine !== 'libsql') throw new ValueFault('ENCRYPTION_KEY needs ENGINE=libsql');
  return { kind: 'file', name, path: url?.replace(/^file:(\/\/)?/, '') ?? null, engine, encryptionKey };
}

function pick(value: (suffix: Suffix) => string | undefined): Parts {
  return Object.fromEntries(
    SUFFIXES.flatMap((suffix) => (value(suffix) === undefined ? [] : [[suffix, value(suffix)]])),
  );
}

/** The names that Turso's tools write. */
function turso(env: Environment, suffix: Suffix): string | undefined {
  if (suffix === 'URL') return env['TURSO_DATABASE_URL']?.trim() || undefined;
  return suffix === 'AUTH_TOKEN' ? env['TURSO_AUTH_TOKEN']?.trim() || undefined : undefined;
}
