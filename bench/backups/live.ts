import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { bunkhouse, signUp } from '../harness/bunkhouse.ts';
import { figure, megabytes } from '../harness/report.ts';
import type { RunningServer } from '../harness/server.ts';
import type { Dataset } from './dataset.ts';
import { familyBytes, watchFamily } from './family.ts';

const WRITER = join(import.meta.dir, 'writer-process.ts');
/** Writes begin at this pace whatever becomes of those before, as those of many clients do. */
const WRITES_PER_SECOND = 200;
const BEFORE_MS = 10_000;
const LOOK_MS = 500;
const MOST_MS = 30 * 60_000;
const MAX_P99_RATIO = 2;
const MAX_GROWTH_MB = 150;
const ADMIN = { email: 'root@example.org', password: 'correct horse battery staple' };

interface Writes {
  readonly done: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

/** A system backup of a server that is written to: what its clients notice, and what it takes of memory. */
export async function measureLive(bench: Bench, { dataDir, bytes }: Dataset): Promise<void> {
  bench.say('a backup under a load of writes');
  const spec = bunkhouse(dataDir, {
    BACKUP_URL: `file:${join(bench.workDir, 'live-repository')}`,
    BACKUP_SCHEDULE: 'off',
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    USER_QUOTA: '0',
  });
  const server = await bench.start({ ...spec, isPinned: false });
  const headers = await signUp(server);
  const admin = await signIn(server);
  await write(server, headers, BEFORE_MS);
  const before = await write(server, headers, BEFORE_MS);

  const idleBytes = familyBytes(server.pid);
  const family = watchFamily(server.pid);
  const startedAt = performance.now();
  const during = writeUntilKilled(server, headers);
  const backup = await takeBackup(server, admin);
  const seconds = (performance.now() - startedAt) / 1_000;
  const noticed = await during.end();
  const { peakBytes } = family.stop();
  await server.stop();
  if (backup !== 'done') throw new Error(`the backup ended as ${backup}`);

  const { report } = bench;
  report.find({
    what: 'share of writes that failed during the backup',
    value: noticed.failed / noticed.done,
    unit: 'ratio',
    atMost: 0,
  });
  report.find({
    what: 'p99 of writes during the backup against before',
    value: noticed.p99Ms / before.p99Ms,
    unit: 'ratio',
    atMost: MAX_P99_RATIO,
    aside: `${figure(before.p99Ms)} ms before, ${figure(noticed.p99Ms)} ms during`,
  });
  report.find({
    what: 'memory of the server and its processes above idle',
    value: megabytes(peakBytes - idleBytes),
    unit: 'MB',
    atMost: MAX_GROWTH_MB,
    aside: `idle ${figure(megabytes(idleBytes))} MB`,
  });
  report.table(
    `${WRITES_PER_SECOND} writes a second, ${figure(bytes / 2 ** 30)} GiB backed up in ${figure(seconds)} s (${figure(megabytes(bytes) / seconds)} MB/s)`,
    ['when', 'writes', 'failed', 'p50 ms', 'p99 ms', 'most ms'],
    [
      ['before', before],
      ['during', noticed],
    ].map(([when, writes]) => {
      const { done, failed, p50Ms, p99Ms, mostMs } = writes as Writes;
      return [String(when), String(done), String(failed), figure(p50Ms), figure(p99Ms), figure(mostMs)];
    }),
  );
}

async function signIn(server: RunningServer): Promise<{ authorization: string }> {
  const response = await fetch(`${server.origin}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ADMIN),
  });
  const { access_token } = (await response.json()) as { access_token: string };
  return { authorization: `Bearer ${access_token}` };
}

/** @returns the status that it ended with. */
async function takeBackup(server: RunningServer, headers: { authorization: string }): Promise<string> {
  const response = await fetch(`${server.origin}/api/backups`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ scope: 'system' }),
  });
  if (response.status !== 202) throw new Error(`no backup began: ${response.status} ${await response.text()}`);
  const { id } = (await response.json()) as { id: string };
  const deadline = performance.now() + MOST_MS;
  while (performance.now() < deadline) {
    await Bun.sleep(LOOK_MS);
    const { status } = (await (await fetch(`${server.origin}/api/backups/${id}`, { headers })).json()) as {
      status: string;
    };
    if (status === 'done' || status === 'failed') return status;
  }
  throw new Error('the backup did not end');
}

async function write(server: RunningServer, headers: { authorization: string }, forMs: number): Promise<Writes> {
  const writing = writeUntilKilled(server, headers);
  await Bun.sleep(forMs);
  return writing.end();
}

/** The writer is a process of its own, so that what we do here does not make its clock late. */
function writeUntilKilled(server: RunningServer, { authorization }: { authorization: string }) {
  const told = Promise.withResolvers<Writes>();
  const child = Bun.spawn([process.execPath, WRITER, server.origin, authorization, String(WRITES_PER_SECOND)], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'inherit',
    ipc: (writes: Writes) => told.resolve(writes),
    onExit: () => told.reject(new Error('the writer ended early')),
  });
  return {
    async end(): Promise<Writes> {
      child.send('end');
      const writes = await told.promise;
      await child.exited;
      return writes;
    },
  };
}
