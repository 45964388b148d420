import { join } from 'node:path';
import { startOurs, startRaw } from '../core/contenders.ts';
import type { Bench } from '../harness/area.ts';
import { signUp } from '../harness/bunkhouse.ts';
import { compare } from '../harness/compare.ts';
import { startPocketBase } from '../peers/pocketbase.ts';

const CONNECTIONS = 64;
const JSON_BODY = { 'content-type': 'application/json' };
const ITEM = { title: 'A title of some length', body: 'What there is to say of it, and a little more. '.repeat(4) };

/** `GET /api/files/:id` of somebody signed in, against the same body from a raw server. */
export async function measureMetadata(bench: Bench): Promise<void> {
  const { server, headers } = await startOurs(bench);
  const put = await fetch(`${server.origin}/api/files/by-name/sample.txt`, { method: 'PUT', headers, body: 'sample' });
  if (put.status !== 201) throw new Error(`the upload answered ${put.status}`);
  const path = `/api/files/${((await put.json()) as { id: string }).id}`;
  const answer: unknown = await (await fetch(server.origin + path, { headers })).json();
  const raw = await startRaw(bench, { [path]: answer });
  await compare(bench, {
    title: 'GET /api/files/:id',
    ours: { name: 'bunkhouse', server, load: { path, headers, connections: CONNECTIONS } },
    peers: [{ name: 'raw', server: raw, load: { path, connections: CONNECTIONS }, atLeast: 0.3 }],
  });
  await Promise.all([server.stop(), raw.stop()]);
}

/** Creating and reading a row over HTTP, against PocketBase. Gives the peers' versions. */
export async function measureRows(bench: Bench): Promise<string[]> {
  const ours = await bench.start({
    name: 'bunkhouse-items',
    command: ['bun', join(import.meta.dir, 'items-server.ts')],
    env: {
      NODE_ENV: 'production',
      DATA_DIR: join(bench.workDir, 'items'),
      BUNKHOUSE_SECRET: 'a-secret-of-the-benchmarks-only-0123456789',
    },
    readyPath: '/health/live',
  });
  const headers = await signUp(ours);
  const pocketBase = await startPocketBase(bench);
  const sides = [
    { name: 'bunkhouse (fsynced)', server: ours, headers, path: '/api/items', body: ITEM },
    {
      name: 'pocketbase (not fsynced)',
      server: pocketBase.server,
      headers: pocketBase.headers,
      path: pocketBase.records,
      body: { ...ITEM, ownerId: pocketBase.userId },
    },
  ].map(({ name, server, headers, path, body }) => {
    const bodyFile = join(bench.workDir, `${server.name}.json`);
    const sent = { ...headers, ...JSON_BODY };
    return { name, server, headers, path, body: JSON.stringify(body), bodyFile, sent };
  });
  for (const { bodyFile, body } of sides) await Bun.write(bodyFile, body);

  const [us, them] = await Promise.all(
    sides.map(async ({ name, server, headers, path, body, bodyFile, sent }) => {
      const created = await fetch(server.origin + path, { method: 'POST', headers: sent, body });
      if (!created.ok) throw new Error(`${name} answered ${created.status}: ${await created.text()}`);
      const { id } = (await created.json()) as { id: string };
      return {
        create: { name, server, load: { path, headers: sent, bodyFile, connections: CONNECTIONS } },
        read: {
          name: name.replace(/ \(.*/, ''),
          server,
          load: { path: `${path}/${id}`, headers, connections: CONNECTIONS },
        },
      };
    }),
  );
  if (!us || !them) throw new Error('there are two sides');
  await compare(bench, {
    title: 'Reading a row with sign-in',
    ours: us.read,
    peers: [{ ...them.read, atLeast: 5 }],
  });
  await compare(bench, {
    title: 'Creating a row with sign-in',
    ours: us.create,
    peers: [{ ...them.create, atLeast: 5 }],
    isWriting: true,
  });
  await Promise.all(sides.map(({ server }) => server.stop()));
  return pocketBase.versions.map((version) => version.replace('-linux-amd64', ''));
}
