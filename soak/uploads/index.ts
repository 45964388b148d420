import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PART_BYTES } from '../../src/drivers/s3-pieces.ts';
import { createClient, register } from '../../test/support/client.ts';
import { s3Settings } from '../../test/support/s3-settings.ts';
import { startS3StubProcess } from '../../test/support/s3-stub-process.ts';
import { startServer, type TestServer } from '../../test/support/server.ts';
import { uploadByTus } from '../../test/support/tus-upload.ts';
import type { Soak, SoakRun } from '../soak.ts';
import { startRelay } from './relay.ts';

const MiB = 2 ** 20;
/** The whole takes at least so long, so that every strike falls in the middle. */
const MIN_SECONDS = 12;
/** A large upload meets five crashes and a move, a small one two. */
const LARGE_MIB = 512;
/** What may be under way in the buffers of two connections, and not yet written to a disk. */
const DISK_WINDOW_BYTES = 32 * MiB;
/** The same where only whole parts count: one being filled and those being sent. */
const S3_WINDOW_BYTES = DISK_WINDOW_BYTES + 4 * PART_BYTES;

const common = { seconds: 600, size: 1024, unit: 'MiB' } as const;

/** One upload that outlives the servers which take it. */
export const uploads: Soak = {
  ...common,
  name: 'uploads',
  summary: 'one upload by tus-js-client while the server is killed and moved to another process',
  run: (run) => withServers(run, {}, DISK_WINDOW_BYTES),
};

export const uploadsToS3: Soak = {
  ...common,
  name: 'uploads-s3',
  summary: 'the same, with files in S3',
  async run(run) {
    const bucket = await startS3StubProcess();
    try {
      return await withServers(run, s3Settings(bucket), S3_WINDOW_BYTES);
    } finally {
      await bucket.stop();
    }
  },
};

type Environment = Readonly<Record<string, string>>;

async function withServers(run: SoakRun, storage: Environment, windowBytes: number) {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
  const relay = await startRelay((run.size * MiB) / MIN_SECONDS);
  const servers: TestServer[] = [];
  const env = { PORT: '0', LOG_LEVEL: 'warn', USER_QUOTA: '0', RATE_LIMIT: 'off', ...storage };
  const start = async (dataDir?: string) => {
    const server = await startServer({ env, ...(dataDir ? { dataDir } : {}) });
    servers.push(server);
    relay.pointTo(Number(new URL(server.url).port));
    return server;
  };
  try {
    return await uploadThrough(run, join(folder, 'content'), relay.url, start, windowBytes);
  } finally {
    for (const server of servers) await server.kill();
    await relay.close();
    await servers[0]?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

async function uploadThrough(
  run: SoakRun,
  path: string,
  url: string,
  start: (dataDir?: string) => Promise<TestServer>,
  windowBytes: number,
) {
  const size = run.size * MiB;
  const sha256 = await fill(path, size);
  let server = await start();
  const { access_token: token } = await register(createClient(server.url), 'soak@example.org');
  run.log('the server is there', { size, sha256 });

  const kills = run.size >= LARGE_MIB ? 5 : 2;
  /** In their order; the move stands in the middle. */
  const strikes = Array.from({ length: kills + 1 }, (_, index) => (index === kills >> 1 ? 'move' : 'kill'));
  let struck = 0;
  let resumed = 0;
  let mostAgain = 0;
  /** Bytes that the client has handed to the network, at the most. */
  let sent = 0;
  let striking: Promise<void> = Promise.resolve();

  /** Kills the server, or leaves it behind, and goes on with another process on the same data. */
  const strike = async (kind: string | undefined): Promise<void> => {
    run.log(kind === 'move' ? 'moving to another process' : 'killing', { sent });
    if (kind === 'kill') await server.kill();
    server = await start(server.dataDir);
  };

  const startedAt = performance.now();
  const { fileId } = await uploadByTus(`${url}/api/uploads`, token, createReadStream(path), {
    metadata: { filename: 'soak' },
    retryDelays: Array.from({ length: 100 }, () => 200),
    onProgress(bytes) {
      sent = Math.max(sent, bytes);
      if (struck > resumed || struck === strikes.length || sent < ((struck + 1) * size) / (strikes.length + 1)) return;
      striking = strike(strikes[struck++]);
    },
    onBeforeRequest(request) {
      const offset = request.getMethod() === 'PATCH' ? Number(request.getHeader('Upload-Offset')) : 0;
      if (offset === 0) return;
      resumed = struck;
      const again = sent - offset;
      mostAgain = Math.max(mostAgain, again);
      run.log('going on', { offset, again });
      if (again > windowBytes) run.fail('no byte is sent again but those under way', { again });
    },
  });
  await striking;
  const seconds = (performance.now() - startedAt) / 1000;

  const found = await download(`${url}/api/files/${fileId}/content`, token);
  if (found.sha256 !== sha256 || found.size !== size) run.fail('the file is what was sent', found);
  if (resumed < strikes.length) run.fail('every crash was met in the middle', { struck, resumed });
  return { kills, moves: 1, mostAgain, uploadSeconds: Math.round(seconds) };
}

/** Fills a file with what nobody can guess. @returns its SHA-256. */
async function fill(path: string, size: number): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx');
  for (let written = 0; written < size; written += MiB) {
    const chunk = randomBytes(MiB);
    hash.update(chunk);
    await file.write(chunk);
  }
  await file.close();
  return hash.digest('hex');
}

async function download(url: string, token: string): Promise<{ readonly sha256: string; readonly size: number }> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of response.body ?? []) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest('hex'), size };
}
