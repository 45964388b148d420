import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { signUp, startBunkhouse } from '../harness/bunkhouse.ts';
import type { RunningServer } from '../harness/server.ts';
import { installPeer } from '../peers/install.ts';

const PEERS = join(dirname(import.meta.dir), 'peers');

const EXPRESS_PACKAGES = {
  express: '5.3.0',
  jsonwebtoken: '9.0.3',
  // The newest that builds on Node 20; 13 needs Node 22.
  'better-sqlite3': '12.11.1',
  multer: '2.5.0',
};

/** A server with someone signed in. */
export interface SignedIn {
  readonly server: RunningServer;
  readonly headers: { readonly authorization: string };
}

export async function startOurs(bench: Bench, name = 'requests', isPinned = true): Promise<SignedIn> {
  const server = await startBunkhouse(bench, name, {}, isPinned);
  return { server, headers: await signUp(server) };
}

/** Starts the raw server; `answers` maps a route to the value it answers with, `headers` makes it the decorated one. */
export function startRaw(
  bench: Bench,
  answers: Readonly<Record<string, unknown>> = {},
  headers?: Readonly<Record<string, string>>,
  isPinned = true,
): Promise<RunningServer> {
  const dataDir = join(bench.workDir, 'raw');
  mkdirSync(dataDir, { recursive: true });
  return bench.start({
    name: headers ? 'raw-decorated' : 'raw',
    command: ['bun', join(PEERS, 'raw.ts')],
    env: {
      NODE_ENV: 'production',
      DATA_DIR: dataDir,
      ANSWERS: JSON.stringify({ '/ready': {}, ...answers }),
      ...(headers ? { HEADERS: JSON.stringify(headers) } : {}),
    },
    readyPath: '/ready',
    isPinned,
  });
}

/** Starts Express with someone signed in; gives the versions of what it is made of, too. */
export async function startExpress(
  bench: Bench,
  name: string,
  isPinned = true,
): Promise<SignedIn & { readonly versions: string[] }> {
  const versions = await installPeer('express', EXPRESS_PACKAGES);
  const dataDir = join(bench.workDir, name);
  mkdirSync(dataDir, { recursive: true });
  const server = await bench.start({
    name: 'express',
    command: ['node', join(PEERS, 'express.mjs')],
    env: { NODE_ENV: 'production', DATA_DIR: dataDir, SECRET: 'a-secret-of-the-express-peer-0123456789' },
    readyPath: '/health/live',
    isPinned,
  });
  return { server, headers: await signUp(server), versions };
}
