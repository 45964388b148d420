import { rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { signUp, startBunkhouse } from '../harness/bunkhouse.ts';
import { peakResidentBytes, resetPeak, residentBytes } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import type { RunningServer } from '../harness/server.ts';
import { flushDisk } from '../harness/tools.ts';
import { runTransfer, transferDigest } from '../harness/transfer.ts';
import { startRaw } from './contenders.ts';

/** A server and how a large file is put to it, fetched from it and removed. */
interface Contender {
  readonly name: string;
  readonly server: RunningServer;
  readonly headers: Readonly<Record<string, string>>;
  readonly idleBytes: number;
  uploadPath(round: number): string;
  /** Takes the answer to the upload; gives the path to download from. Throws when the answer is wrong. */
  downloadPath(round: number, answer: string): string;
  remove(downloadPath: string): Promise<void> | void;
}

interface Sample {
  readonly uploadMs: number;
  readonly uploadPeak: number;
  readonly downloadMs: number;
  readonly downloadPeak: number;
}

const UPLOAD_FLOOR = 0.6;
const MAX_GROWTH_MB = 60;
/** Both servers' copies, and room for what was deleted and not yet given back. */
const COPIES = 3;
const SETTLE_MS = 1000;

/** One large file up and down again: throughput against raw `Bun.write` and `Bun.file`, and what it takes of memory. */
export async function measureTransfer(bench: Bench): Promise<void> {
  const { runs, transferBytes } = bench.options;
  const { bavail, bsize } = await statfs(bench.workDir);
  if (bavail * bsize < COPIES * transferBytes) {
    throw new Error(`${COPIES * megabytes(transferBytes)} MB of free disk are needed below ${bench.workDir}`);
  }
  bench.say(`${megabytes(transferBytes)} MB up and down`);
  const contenders = [await ours(bench), await raw(bench, 'blob'), await raw(bench, 'sealed')] as const;
  // Not counted: a virtual machine's memory is slow the first time the page cache grows into it.
  for (const contender of contenders) await takeRound(contender, runs, transferBytes);
  const samples = await inRounds(contenders, runs, (contender, round) => takeRound(contender, round, transferBytes));
  for (const { server } of contenders) await server.stop();

  const [us, peer, sealed] = contenders;
  const of = (contender: Contender, key: keyof Sample) => (samples.get(contender) ?? []).map((sample) => sample[key]);
  const growth = (contender: Contender, key: 'uploadPeak' | 'downloadPeak') =>
    megabytes(Math.max(...of(contender, key)) - contender.idleBytes);
  const size = `${figure(transferBytes / 2 ** 30)} GiB`;
  bench.report.find({
    what: `${size} upload against raw \`Bun.write(path, request)\` (ours hashed and fsynced)`,
    value: medianRatio(of(peer, 'uploadMs'), of(us, 'uploadMs')),
    unit: 'ratio',
    atLeast: UPLOAD_FLOOR,
  });
  // Who hashes and flushes does more than the floor does; this is what the same work costs others.
  bench.report.find({
    what: `${size} upload against ${sealed.name}`,
    value: medianRatio(of(sealed, 'uploadMs'), of(us, 'uploadMs')),
    unit: 'ratio',
  });
  bench.report.find({
    what: `${size} download against raw \`Bun.file\``,
    value: medianRatio(of(peer, 'downloadMs'), of(us, 'downloadMs')),
    unit: 'ratio',
  });
  bench.report.find({
    what: `memory above idle, ${size} upload`,
    value: growth(us, 'uploadPeak'),
    unit: 'MB',
    atMost: MAX_GROWTH_MB,
  });
  bench.report.find({
    what: `memory above idle, ${size} download`,
    value: growth(us, 'downloadPeak'),
    unit: 'MB',
    atMost: MAX_GROWTH_MB,
  });

  const speed = (contender: Contender, key: 'uploadMs' | 'downloadMs') =>
    figure(median(of(contender, key).map((ms) => megabytes(transferBytes) / (ms / 1000))));
  bench.report.table(
    `${size} by PUT and GET`,
    ['server', 'up MB/s', 'down MB/s', 'idle MB', 'most MB above idle, up', 'most MB above idle, down'],
    contenders.map((contender) => [
      contender.name,
      speed(contender, 'uploadMs'),
      speed(contender, 'downloadMs'),
      figure(megabytes(contender.idleBytes)),
      figure(growth(contender, 'uploadPeak')),
      figure(growth(contender, 'downloadPeak')),
    ]),
  );
}

async function takeRound(contender: Contender, round: number, bytes: number): Promise<Sample> {
  const { server, headers } = contender;
  await flushDisk();
  resetPeak(server.pid);
  const upload = await runTransfer({ method: 'PUT', url: server.origin + contender.uploadPath(round), headers, bytes });
  const uploadPeak = peakResidentBytes(server.pid);
  const path = contender.downloadPath(round, upload.answer);
  await flushDisk();
  resetPeak(server.pid);
  const download = await runTransfer({ method: 'GET', url: server.origin + path, headers, bytes });
  const downloadPeak = peakResidentBytes(server.pid);
  await contender.remove(path);
  return { uploadMs: upload.ms, uploadPeak, downloadMs: download.ms, downloadPeak };
}

/** Started anew after the sign-up, so that hashing a password does not count as idle memory. */
async function ours(bench: Bench): Promise<Contender> {
  const before = await startBunkhouse(bench, 'transfer', {}, false);
  const headers = await signUp(before);
  await before.stop();
  const server = await startBunkhouse(bench, 'transfer', {}, false);
  const digest = transferDigest(bench.options.transferBytes);
  return {
    name: 'bunkhouse',
    server,
    headers,
    idleBytes: await idleBytes(server),
    uploadPath: (round) => `/api/files/by-name/big-${round}`,
    downloadPath: (_round, answer) => {
      const { id, sha256 } = JSON.parse(answer) as { id: string; sha256: string };
      if (sha256 !== digest) throw new Error('the uploaded file has another digest than what was sent');
      return `/api/files/${id}/content`;
    },
    remove: async (path) => {
      const response = await fetch(server.origin + path.replace(/\/content$/, ''), { method: 'DELETE', headers });
      if (!response.ok) throw new Error(`deleting the upload answered ${response.status}`);
    },
  };
}

/** By `sealed` it hashes and flushes what it takes, as we do. */
async function raw(bench: Bench, way: 'blob' | 'sealed'): Promise<Contender> {
  const server = await startRaw(bench, {}, undefined, false);
  return {
    name: way === 'blob' ? 'raw' : 'raw with sha256 and fsync',
    server,
    headers: {},
    idleBytes: await idleBytes(server),
    uploadPath: (round) => `/${way}/big-${round}`,
    downloadPath: (round) => `/blob/big-${round}`,
    remove: (path) => rmSync(join(bench.workDir, 'raw', path.slice('/blob/'.length))),
  };
}

async function idleBytes(server: RunningServer): Promise<number> {
  await Bun.sleep(SETTLE_MS);
  return residentBytes(server.pid);
}
