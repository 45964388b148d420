import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import type { FileAnswer } from '../modules/uploads/support.ts';
import { type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { s3Settings } from '../support/s3-settings.ts';
import { type S3Stub, startS3Stub } from '../support/s3-stub.ts';
import { startServer, type TestServer } from '../support/server.ts';

const MIB = 2 ** 20;

let stub: S3Stub;
let server: TestServer;
let call: Call;
let token: string;
beforeAll(async () => {
  stub = await startS3Stub({ refusesChecksums: true, wantsEqualParts: true });
  server = await startServer({ env: s3Settings(stub) });
  call = createClient(server.url);
  token = (await register(call, 'ann@example.org')).access_token;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await stub.stop();
});

const put = (name: string, content: Uint8Array<ArrayBuffer>) =>
  call('PUT', `/api/files/by-name/${name}`, { token, body: content, may5xx: true });
const stateOfStorage = async () => {
  const { json } = await call('GET', '/health/ready', { may5xx: true });
  return (json['checks'] as { name: string; status: string }[]).find(({ name }) => name === 'storage')?.status;
};

test('files live in the bucket: whole, in parts, replaced and deleted; nothing of them is on the disk', async () => {
  const content = randomBytes(20 * MIB);
  const made = await put('large.bin', content);
  expect(made.status).toBe(201);
  const file = made.json as unknown as FileAnswer;
  expect([file.size, file.sha256]).toEqual([content.length, createHash('sha256').update(content).digest('hex')]);

  const get = async (headers: Record<string, string> = {}) => {
    const answer = await fetch(server.url + file.url, { headers: { authorization: `Bearer ${token}`, ...headers } });
    return { answer, body: Buffer.from(await answer.arrayBuffer()) };
  };
  const whole = await get();
  expect(whole.answer.status).toBe(200);
  expect(Buffer.compare(whole.body, content)).toBe(0);
  const range = await get({ range: 'bytes=1000000-11000000' });
  expect([range.answer.status, Buffer.compare(range.body, content.subarray(1_000_000, 11_000_001))]).toEqual([206, 0]);
  const parts = await get({ range: 'bytes=0-9,100-109' });
  expect([parts.answer.status, parts.body.includes(content.subarray(100, 110))]).toEqual([206, true]);

  expect((await put('large.bin', randomBytes(10))).status).toBe(200);
  await eventually(() => stub.store.everything().length === 1);
  expect((await get()).body.length).toBe(10);
  expect((await call('DELETE', `/api/files/${file.id}`, { token })).status).toBe(204);
  await eventually(() => stub.store.everything().length === 0);
  expect(await readdir(server.dataDir)).not.toContain('objects');
});

describe('while the bucket', () => {
  test('refuses the key, uploads answer 503 with Retry-After, and the log says why without the secret', async () => {
    stub.fail('PutObject', { kind: 'status', status: 403, code: 'InvalidAccessKeyId' }, 3);
    const answer = await put('a.txt', randomBytes(10));
    expect([answer.status, answer.json['code'], answer.headers.get('retry-after')]).toEqual([
      503,
      'storage/unavailable',
      '5',
    ]);
    expect(answer.text).not.toContain('InvalidAccessKeyId');
    await eventually(() => server.output().includes('refuses the access key'));
    expect(server.output()).not.toContain(stub.options.secretAccessKey);
    stub.clearFaults();
  });

  test('is down, readiness says so; downloads and uploads answer 503, and all is well again after it', async () => {
    const made = await put('kept.txt', randomBytes(100));
    const file = made.json as unknown as FileAnswer;
    expect(await stateOfStorage()).toBe('ok');
    for (const operation of ['HeadBucket', 'PutObject', 'GetObject']) {
      stub.fail(operation, { kind: 'status', status: 503, code: 'SlowDown' }, 1000);
    }
    await eventually(async () => (await stateOfStorage()) === 'down');
    expect((await call('GET', file.url, { token, may5xx: true })).status).toBe(503);
    expect((await put('b.txt', randomBytes(10))).status).toBe(503);
    stub.clearFaults();
    await eventually(async () => (await stateOfStorage()) === 'ok');
    expect((await call('GET', file.url, { token })).text.length).toBeGreaterThan(0);
    expect((await call('DELETE', `/api/files/${file.id}`, { token })).status).toBe(204);
    await eventually(() => stub.store.everything().length === 0);
  });

  test('is not there at the start, the server starts and says that the storage is down', async () => {
    await using lonely = await startServer({
      env: { ...s3Settings(stub), AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9' },
    });
    const { status, json } = await createClient(lonely.url)('GET', '/health/ready', { may5xx: true });
    expect([status, json['status']]).toEqual([503, 'down']);
  });
});
