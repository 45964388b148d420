import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../support/cli.ts';
import { createClient, PASSWORD, register, signIn } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { logLines } from '../support/log-lines.ts';
import { connectRaw, statusOf } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';

setDefaultTimeout(30_000);

/** Large enough to be written to the disk as it comes. */
const HALF = 'x'.repeat(2_000_000);

/** A server with an upload under way of which half has come. */
async function startUpload() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startServer());
  const { access_token } = await register(createClient(server.url), 'ada@example.org');
  const upload = await connectRaw(server.url);
  stack.defer(() => upload.close());
  upload.write(
    `PUT /api/files/by-name/slow.txt HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n` +
      `Authorization: Bearer ${access_token}\r\nContent-Length: ${HALF.length * 2}\r\n\r\n${HALF}`,
  );
  const objects = join(server.dataDir, 'objects');
  const incoming = () => (existsSync(objects) ? [...new Bun.Glob('**/*').scanSync({ cwd: objects, dot: true })] : []);
  await eventually(() => incoming().length > 0);
  const kept = stack.move();
  return { server, upload, incoming, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const isListening = async (server: TestServer) => {
  try {
    const probe = await connectRaw(server.url);
    probe.close();
    return true;
  } catch {
    return false;
  }
};

describe('the first signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s lets an upload finish, and the server ends with 0', async (signal) => {
    await using house = await startUpload();
    const { server, upload } = house;
    process.kill(server.pid, signal);
    await eventually(async () => !(await isListening(server)));
    upload.write(HALF);
    const answer = await upload.closed;
    expect(statusOf(answer)).toBe(201);
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(await server.exited).toBe(0);
    expect(logLines(server.output(), 'error')).toEqual([]);
    expect(logLines(server.output(), 'info').map(({ msg }) => msg)).toContain('shutting down');

    await using again = await server.restart();
    const call = createClient(again.url);
    const { access_token: token } = await signIn(call, 'ada@example.org');
    const [file] = (await call('GET', '/api/files', { token })).json['items'] as { size: number; url: string }[];
    expect(file?.size).toBe(HALF.length * 2);
    expect((await call('GET', file?.url as string, { token })).text).toBe(HALF + HALF);
  });

  test('takes no new connection and closes the idle ones, while the upload goes on', async () => {
    await using house = await startUpload();
    const { server, upload } = house;
    const idle = await connectRaw(server.url);
    idle.write(`GET /health/ready HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n\r\n`);
    await idle.until(/"checks"/);
    process.kill(server.pid, 'SIGTERM');
    await idle.closed;
    expect(await isListening(server)).toBe(false);
    expect(upload.received()).toBe('');
    upload.write(HALF);
    expect(statusOf(await upload.closed)).toBe(201);
    expect(await server.exited).toBe(0);
  });

  test('with nothing to wait for ends the server soon, idle connections or not', async () => {
    await using server = await startServer();
    const idle = await connectRaw(server.url);
    idle.write(`GET /health/ready HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n\r\n`);
    await idle.until(/"checks"/);
    const startedAt = performance.now();
    expect(await server.stop()).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    idle.close();
  });
});

test('the second signal ends at once, and leaves nothing of the upload that was cut', async () => {
  await using house = await startUpload();
  const { server, upload, incoming } = house;
  process.kill(server.pid, 'SIGTERM');
  await eventually(async () => !(await isListening(server)));
  const startedAt = performance.now();
  process.kill(server.pid, 'SIGTERM');
  expect(await server.exited).toBe(1);
  expect(performance.now() - startedAt).toBeLessThan(5000);
  await upload.closed;
  await using again = await server.restart();
  await eventually(() => incoming().length === 0);
  const call = createClient(again.url);
  const { access_token: token } = await signIn(call, 'ada@example.org');
  expect((await call('GET', '/api/files', { token })).json['items']).toEqual([]);
});

test('what nobody catches does not end the process', async () => {
  await using server = await startServer({
    env: { BUN_OPTIONS: `--preload=${join(import.meta.dirname, '../support/mishap.ts')}` },
  });
  process.kill(server.pid, 'SIGUSR2');
  await eventually(() => logLines(server.output(), 'error').length >= 3);
  const told = logLines(server.output(), 'error').map(
    ({ msg, err }) => `${msg}: ${(err as { message: string }).message}`,
  );
  expect(told).toEqual(
    expect.arrayContaining([
      'an exception was not caught: thrown by nobody',
      'a rejection was not handled: rejected by nobody',
    ]),
  );
  const call = createClient(server.url);
  expect((await call('GET', '/health/live')).status).toBe(200);
  await register(call, 'ada@example.org');
  expect(await server.stop()).toBe(0);
});

test('a client that hangs up in the middle leaves the server as it was', async () => {
  await using house = await startUpload();
  const { server, upload, incoming } = house;
  upload.close();
  await eventually(() => incoming().length === 0);
  expect((await createClient(server.url)('GET', '/health/ready')).status).toBe(200);
  expect(await server.stop()).toBe(0);
  expect(logLines(server.output(), 'error')).toEqual([]);
});

describe('starting', () => {
  test('twice on one port fails in one line', async () => {
    await using first = await startServer();
    const { port } = new URL(first.url);
    const cwd = await mkdtemp(join(tmpdir(), 'bunkhouse-second-'));
    const { code, stderr } = await runCli(['serve'], { cwd, env: { PORT: port, DATA_DIR: cwd } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^bunkhouse: [^\n]+\n$/);
    expect((await createClient(first.url)('GET', '/health/live')).status).toBe(200);
    await rm(cwd, { recursive: true, force: true });
  });

  test('with a data folder that is a file fails in one line', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'bunkhouse-file-'));
    await writeFile(join(cwd, 'data'), 'a file');
    const { code, stderr } = await runCli(['serve'], { cwd, env: { PORT: '0', DATA_DIR: join(cwd, 'data') } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^bunkhouse: [^\n]+\n$/);
    await rm(cwd, { recursive: true, force: true });
  });

  test.each(['127.0.0.1', 'localhost', '0.0.0.0'])('on HOST=%s listens and prints a URL that works', async (HOST) => {
    await using server = await startServer({ env: { HOST } });
    const url = new URL(server.url);
    const { port } = url;
    const loopback = `http://127.0.0.1:${port}`;
    expect((await fetch(`${loopback}/health/ready`)).status).toBe(200);
    expect((await fetch(`${loopback}/api/auth/me`)).status).toBe(401);
  });

  // `publicUrl()` in server.ts writes an IPv6 address without brackets.
  test.each(['::1', '::'])('on HOST=%s listens as well', async (HOST) => {
    await using server = await startServer({ env: { HOST } });
    expect((await fetch(`http://[::1]:${new URL(server.url).port}/health/ready`)).status).toBe(200);
  });

  test('mounts only the servers it is asked for, and verifies tokens all the same', async () => {
    await using house = await startServer();
    const { access_token: token } = await register(createClient(house.url), 'ada@example.org');
    await house.stop();
    await using part = await house.restart({ SERVERS: 'uploads' });
    const call = createClient(part.url);
    expect((await call('GET', '/api/files', { token })).status).toBe(200);
    expect((await call('GET', '/api/files')).status).toBe(401);
    expect(
      (await call('POST', '/api/auth/login', { json: { email: 'ada@example.org', password: PASSWORD } })).status,
    ).toBe(404);
  });
});
