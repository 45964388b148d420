import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { startBunkhouse } from '../harness/bunkhouse.ts';
import { compare } from '../harness/compare.ts';
import type { RunningServer } from '../harness/server.ts';
import { needTools, run } from '../harness/tools.ts';

const PEERS = join(dirname(import.meta.dir), 'peers');
const CONNECTIONS = 32;
const VERSION_MS = 10_000;
const PROGRAMS = { nginx: 'nginx-light', varnishd: 'varnish' };
const FILES = { ten: 10 * 1024, one: 2 ** 20 };

/** Stored answers through the whole gate, and public files, against the servers that people use for them. */
export async function measureAnswers(bench: Bench): Promise<string[]> {
  await needTools(PROGRAMS);
  const root = join(bench.workDir, 'public');
  mkdirSync(root, { recursive: true });
  await Bun.write(join(root, 'ten.css'), 'a'.repeat(FILES.ten));
  await Bun.write(join(root, 'one.bin'), new Uint8Array(FILES.one).fill(97));

  const ready = (name: string) => ({
    name,
    command: ['bun', join(PEERS, 'ready-answer.ts')],
    env: {},
    readyPath: '/cached/answer',
  });
  const origin = await bench.start(ready('origin'));
  const ours = await startBunkhouse(bench, 'answers', { PROXY_ROUTES: `/cached=${origin.origin}`, PUBLIC_DIR: root });
  const nginx = await startNginx(bench, root, origin.origin);
  const varnish = await startVarnish(bench, origin.origin);
  const raw = await bench.start(ready('raw'));

  const on = (server: RunningServer, path: string) => ({
    name: server.name,
    server,
    load: { path, connections: CONNECTIONS },
  });
  await compare(bench, {
    title: 'a stored answer of 10 KiB',
    ours: on(ours, '/cached/answer'),
    peers: [
      { ...on(nginx, '/cached/answer'), atLeast: 0.6 },
      { ...on(varnish, '/cached/answer'), atLeast: 0.6 },
      { ...on(raw, '/cached/answer'), atLeast: 0.5 },
    ],
  });
  await compare(bench, {
    title: 'a public file of 10 KiB',
    ours: on(ours, '/ten.css'),
    peers: [{ ...on(nginx, '/ten.css'), atLeast: 0.6 }],
  });
  await compare(bench, {
    title: 'a public file of 1 MiB',
    ours: on(ours, '/one.bin'),
    peers: [{ ...on(nginx, '/one.bin'), atLeast: 1 }],
  });
  return [await versionOf('nginx', '-v'), await versionOf('varnishd', '-V')];
}

function startNginx(bench: Bench, root: string, origin: string): Promise<RunningServer> {
  const work = join(bench.workDir, 'nginx');
  mkdirSync(work, { recursive: true });
  return bench.start({
    name: 'nginx',
    command: ['bun', join(PEERS, 'nginx.ts')],
    env: { ROOT: root, ORIGIN: origin, WORK: work },
    readyPath: '/ten.css',
  });
}

function startVarnish(bench: Bench, origin: string): Promise<RunningServer> {
  const work = join(bench.workDir, 'varnish');
  mkdirSync(work, { recursive: true });
  const { host } = new URL(origin);
  // The port is known to the shell alone.
  const command = `exec varnishd -F -j none -n ${work} -a 127.0.0.1:$PORT -b ${host} -s malloc,64m`;
  return bench.start({
    name: 'varnish',
    command: ['sh', '-c', command],
    env: {},
    readyPath: '/cached/answer',
    isSupervisor: true,
  });
}

async function versionOf(program: string, flag: string): Promise<string> {
  const text = await run(['sh', '-c', `${program} ${flag} 2>&1`], VERSION_MS);
  return /(?:nginx|varnish)[/-][\d.]+/.exec(text)?.[0] ?? program;
}
