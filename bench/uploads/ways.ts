import { mkdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { startRaw } from '../core/contenders.ts';
import type { Bench } from '../harness/area.ts';
import { signUp, startBunkhouse } from '../harness/bunkhouse.ts';
import { residentBytes } from '../harness/proc.ts';
import type { RunningServer } from '../harness/server.ts';
import { makeBlock, type Transfer } from '../harness/transfer.ts';
import { installPeer } from '../peers/install.ts';

const TUS_PACKAGES = { '@tus/server': '2.4.5', '@tus/file-store': '2.1.1' };
const TUS = { 'tus-resumable': '1.0.0' };
const SETTLE_MS = 1000;

/** A server and one way to give it a large file. */
export interface Way {
  readonly name: string;
  readonly server: RunningServer;
  readonly idleBytes: number;
  /** What is sent; for tus this begins the upload. */
  prepare(round: number, bytes: number): Promise<Transfer>;
  /** Throws when the server has another file than was sent; then removes it. */
  finish(transfer: Transfer, digest: string): Promise<void>;
}

/** Started anew after the sign-up, so that hashing a password does not count as idle memory. */
export async function startSignedIn(bench: Bench, name: string, env: Readonly<Record<string, string>> = {}) {
  const before = await startBunkhouse(bench, name, env, false);
  const headers = await signUp(before);
  await before.stop();
  const server = await startBunkhouse(bench, name, env, false);
  return { server, headers, idleBytes: await idleBytes(server) };
}

export async function oursByPut(bench: Bench): Promise<Way> {
  const { server, headers, idleBytes: idle } = await startSignedIn(bench, 'put');
  return {
    name: 'bunkhouse, PUT',
    server,
    idleBytes: idle,
    prepare: async (round, bytes) => ({
      method: 'PUT',
      url: `${server.origin}/api/files/by-name/big-${round}`,
      headers,
      bytes,
    }),
    finish: (_transfer, digest) => removeNewest(server, headers, digest),
  };
}

export async function oursByTus(bench: Bench): Promise<Way> {
  const { server, headers, idleBytes: idle } = await startSignedIn(bench, 'tus');
  const all = { ...headers, ...TUS };
  return {
    name: 'bunkhouse, tus',
    server,
    idleBytes: idle,
    prepare: (_round, bytes) => beginTus(server, '/api/uploads', all, bytes),
    finish: (_transfer, digest) => removeNewest(server, headers, digest),
  };
}

/** Servers of a few lines that we are measured against. */
const RAW = {
  plain: { name: 'raw Bun.write', path: 'blob', isWarm: false },
  warm: { name: 'raw Bun.write, memory at hand', path: 'blob', isWarm: true },
  sealed: { name: 'raw with sha256 and fsync', path: 'sealed', isWarm: false },
} as const;

/**
 * `warm` begins with memory that the page cache has just given back: a virtual machine's host takes free memory away within seconds, and
 * getting it again costs several times what writing costs.
 */
export async function raw(bench: Bench, kind: keyof typeof RAW): Promise<Way> {
  const { name, path, isWarm } = RAW[kind];
  const server = await startRaw(bench, {}, undefined, false);
  return {
    name,
    server,
    idleBytes: await idleBytes(server),
    prepare: async (round, bytes) => {
      if (isWarm) await touchPageCache(join(bench.workDir, 'raw', 'ballast'), bytes);
      return { method: 'PUT', url: `${server.origin}/${path}/big-${kind}-${round}`, headers: {}, bytes };
    },
    finish: async ({ url }) => rmSync(join(bench.workDir, 'raw', url.split('/').at(-1) as string)),
  };
}

async function touchPageCache(path: string, bytes: number): Promise<void> {
  const block = makeBlock();
  const file = await open(path, 'w');
  for (let written = 0; written < bytes; written += block.length) await file.write(block);
  await file.close();
  rmSync(path);
}

/** The usual tus server, without an account, a hash or a flush. */
export async function tusOnNode(bench: Bench): Promise<Way & { readonly versions: string[] }> {
  const versions = await installPeer('tus', TUS_PACKAGES);
  const dataDir = join(bench.workDir, 'tus-node');
  mkdirSync(dataDir, { recursive: true });
  const server = await bench.start({
    name: 'tus-node',
    command: ['node', join(import.meta.dir, '../peers/tus.mjs')],
    env: { NODE_ENV: 'production', DATA_DIR: dataDir },
    readyPath: '/ready',
    isPinned: false,
  });
  return {
    name: '@tus/server on Node',
    server,
    idleBytes: await idleBytes(server),
    versions,
    prepare: (_round, bytes) => beginTus(server, '/files', TUS, bytes),
    async finish({ url }) {
      const response = await fetch(url, { method: 'DELETE', headers: TUS });
      if (!response.ok) throw new Error(`deleting an upload answered ${response.status}`);
    },
  };
}

async function beginTus(
  { origin }: RunningServer,
  path: string,
  headers: Readonly<Record<string, string>>,
  bytes: number,
): Promise<Transfer> {
  const response = await fetch(origin + path, { method: 'POST', headers: { ...headers, 'upload-length': `${bytes}` } });
  const location = response.headers.get('location');
  if (response.status !== 201 || !location) throw new Error(`beginning an upload answered ${response.status}`);
  return { method: 'PATCH', url: new URL(location, origin).href, headers: { ...headers, 'upload-offset': '0' }, bytes };
}

async function removeNewest(
  { origin }: RunningServer,
  headers: Readonly<Record<string, string>>,
  digest: string,
): Promise<void> {
  const list = await fetch(`${origin}/api/files?limit=1`, { headers });
  const { items } = (await list.json()) as { items: { id: string; sha256: string }[] };
  if (items[0]?.sha256 !== digest) throw new Error('the uploaded file has another digest than what was sent');
  const response = await fetch(`${origin}/api/files/${items[0].id}`, { method: 'DELETE', headers });
  if (!response.ok) throw new Error(`deleting the upload answered ${response.status}`);
}

export async function idleBytes(server: RunningServer): Promise<number> {
  await Bun.sleep(SETTLE_MS);
  return residentBytes(server.pid);
}
