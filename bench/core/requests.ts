import type { Bench } from '../harness/area.ts';
import { type Contender, compare } from '../harness/compare.ts';
import { MULTIPART, writeMultipart } from '../harness/multipart.ts';
import type { RunningServer } from '../harness/server.ts';
import { type SignedIn, startExpress, startOurs, startRaw } from './contenders.ts';

export const REQUEST_MEASURES = ['health', 'me', 'metadata', 'upload'] as const;

const CONNECTIONS = 64;
const UPLOAD_CONNECTIONS = 16;
const UPLOAD_BYTES = 10 * 1024;

/** Small requests, one kind after another, all servers standing all the while. Gives the peers' versions. */
export async function measureRequests(bench: Bench): Promise<string[]> {
  const ours = await startOurs(bench);
  const express = await startExpress(bench, 'express');
  const bodyFile = await writeMultipart(bench.workDir, UPLOAD_BYTES);
  const live = '/health/live';
  const me = '/api/auth/me';
  const metadata = bench.wants('metadata') ? `/api/files/${await uploadOnce(ours, bodyFile)}` : me;
  const answers = await answersOf(ours, [live, metadata, me]);
  const raw = await startRaw(bench, answers.bodies);
  const decorated = await startRaw(bench, answers.bodies, answers.headers);

  const get = (name: string, { server, headers }: SignedIn, path: string): Contender => {
    return { name, server, load: { path, headers, connections: CONNECTIONS } };
  };
  const plain = (name: string, server: RunningServer, path: string): Contender => {
    return { name, server, load: { path, connections: CONNECTIONS } };
  };
  const post = (name: string, { server, headers }: SignedIn): Contender => {
    const load = {
      path: '/api/files',
      headers: { ...headers, ...MULTIPART },
      bodyFile,
      connections: UPLOAD_CONNECTIONS,
    };
    return { name, server, load };
  };

  if (bench.wants('health')) {
    await compare(bench, {
      title: `GET ${live}`,
      ours: plain('bunkhouse', ours.server, live),
      peers: [
        { ...plain('raw', raw, live), atLeast: 0.8 },
        { ...plain('express', express.server, live), atLeast: 4 },
      ],
    });
  }
  if (bench.wants('me')) {
    await compare(bench, {
      title: `GET ${me}`,
      ours: get('bunkhouse', ours, me),
      peers: [
        { ...plain('raw', raw, me), atLeast: 0.45 },
        plain('raw with our headers and log line', decorated, me),
        { ...get('express', express, me), atLeast: 4 },
      ],
    });
  }
  if (bench.wants('metadata')) {
    await compare(bench, {
      title: 'GET /api/files/:id',
      ours: get('bunkhouse', ours, metadata),
      peers: [plain('raw', raw, metadata)],
    });
  }
  await Promise.all([ours.server, express.server, raw, decorated].map((server) => server.stop()));
  if (bench.wants('upload')) {
    const writers = [
      await startOurs(bench, 'uploads', false),
      await startExpress(bench, 'express-uploads', false),
    ] as const;
    await compare(bench, {
      title: 'POST /api/files, 10 KB',
      ours: post('bunkhouse (fsynced)', writers[0]),
      peers: [{ ...post('express (not fsynced)', writers[1]), atLeast: 1 }],
      isWriting: true,
    });
    await Promise.all(writers.map(({ server }) => server.stop()));
  }
  return express.versions;
}

async function uploadOnce({ server, headers }: SignedIn, bodyFile: string): Promise<string> {
  const response = await fetch(`${server.origin}/api/files`, {
    method: 'POST',
    headers: { ...headers, ...MULTIPART },
    body: await Bun.file(bodyFile).bytes(),
  });
  if (response.status !== 201) throw new Error(`upload failed: ${response.status} ${await response.text()}`);
  const { items } = (await response.json()) as { items: { id: string }[] };
  const [file] = items;
  if (!file) throw new Error('upload answered with no file');
  return file.id;
}

/** Headers that the raw peer's server sets by itself, or that are new for every answer. */
const OWN_HEADERS = ['content-length', 'content-type', 'date', 'connection', 'keep-alive', 'x-request-id'];

/** What we answer on these paths, for the raw peers to answer the same; the headers are those of the last path. */
async function answersOf({ server, headers }: SignedIn, paths: readonly string[]) {
  const bodies: Record<string, unknown> = {};
  let sent: Record<string, string> = {};
  for (const path of paths) {
    const response = await fetch(server.origin + path, { headers });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    bodies[path] = await response.json();
    sent = Object.fromEntries([...response.headers].filter(([name]) => !OWN_HEADERS.includes(name)));
  }
  return { bodies, headers: sent };
}
