import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import type { FileAnswer } from '../modules/uploads/support.ts';
import { type Answer, type Call, createClient, PASSWORD, register } from '../support/client.ts';
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
  server = await startServer({ env: { ...s3Settings(stub), UPLOAD_MAX_SIZE: '300MiB', USER_QUOTA: '500MiB' } });
  call = createClient(server.url);
  token = (await register(call, 'ann@example.org')).access_token;
});
afterEach(() => stub.clearFaults());
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await stub.stop();
});

const begin = (draft: object) => call('POST', '/api/files/direct', { token, json: draft });
const complete = (id: unknown) =>
  call('POST', `/api/files/direct/${id}/complete`, { token, may5xx: true }) as Promise<Answer>;
const put = (ticket: Answer, body: Uint8Array<ArrayBuffer>, headers = ticket.json['headers']) =>
  fetch(ticket.json['url'] as string, { method: 'PUT', headers: headers as Record<string, string>, body });
const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
const download = async ({ url }: FileAnswer) => {
  const answer = await fetch(server.url + url, { headers: { authorization: `Bearer ${token}` } });
  return Buffer.from(await answer.arrayBuffer());
};

test('what is put straight to the bucket becomes a file, once, with its type by its content', async () => {
  const content = Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(MIB)]);
  const ticket = await begin({ name: 'paper.pdf', size: content.length, type: 'text/html', sha256: sha256(content) });
  expect(ticket.status).toBe(201);
  expect((await put(ticket, content)).status).toBe(200);
  expect((await call('GET', '/api/files', { token })).json['items']).toEqual([]);

  const [one, two] = await Promise.all([complete(ticket.json['id']), complete(ticket.json['id'])]);
  expect([one.status, two.status, two.json]).toEqual([201, 201, one.json]);
  const file = one.json as unknown as FileAnswer;
  expect(file).toMatchObject({
    name: 'paper.pdf',
    size: content.length,
    type: 'application/pdf',
    visibility: 'private',
  });
  expect([file.id, file.sha256]).toEqual([ticket.json['id'] as string, sha256(content)]);
  expect(Buffer.compare(await download(file), content)).toBe(0);

  await eventually(() => stub.store.everything().length === 1);
  // The URL still lives; what it writes now is not the file's.
  expect((await put(ticket, Buffer.alloc(content.length))).status).toBe(200);
  expect(Buffer.compare(await download(file), content)).toBe(0);
  expect((await complete(ticket.json['id'])).json).toEqual(one.json);
  await call('DELETE', `/api/files/${file.id}`, { token });
  await eventually(() => stub.store.everything().every((name) => name.includes('/direct/')));
});

test('a large content is put in parts', async () => {
  const content = randomBytes(101 * MIB);
  const ticket = await begin({ name: 'film.mp4', size: content.length });
  const { partSize, parts } = ticket.json as { partSize: number; parts: { number: number; url: string }[] };
  expect([partSize, parts.length]).toEqual([16 * MIB, 7]);
  const putPart = ({ number, url }: { number: number; url: string }) =>
    fetch(url, { method: 'PUT', body: content.subarray((number - 1) * partSize, number * partSize) });
  for (const part of parts.slice(1)) expect((await putPart(part)).status).toBe(200);
  const early = await complete(ticket.json['id']);
  expect([early.status, early.json['code']]).toEqual([409, 'uploads/not-complete']);
  expect((await putPart(parts[0] as { number: number; url: string })).status).toBe(200);

  // An answer that gets lost is asked for again.
  stub.fail('CompleteMultipartUpload', { kind: 'done-then-reset' });
  const done = await complete(ticket.json['id']);
  expect([done.status, done.json['sha256']]).toEqual([201, sha256(content)]);
  expect((await putPart(parts[0] as { number: number; url: string })).status).toBe(404);
  await call('DELETE', `/api/files/${done.json['id']}`, { token });
});

describe('the bucket takes nothing but what was announced', () => {
  test.each([
    ['another size', Buffer.alloc(11), undefined],
    ['another type', Buffer.alloc(10), { 'content-type': 'text/html' }],
  ])('not %s', async (_, body, headers) => {
    const ticket = await begin({ name: 'a.bin', size: 10, type: 'image/png' });
    expect((await put(ticket, body, headers ?? ticket.json['headers'])).status).toBe(403);
    expect((await complete(ticket.json['id'])).json['code']).toBe('uploads/not-complete');
  });
});

test('a content with another hash is thrown away', async () => {
  const ticket = await begin({ name: 'a.bin', size: 300 * MIB, sha256: '0'.repeat(64) });
  expect((await begin({ name: 'b.bin', size: 300 * MIB })).json['code']).toBe('uploads/quota-exceeded');
  const small = await begin({ name: 'c.bin', size: 10, sha256: '0'.repeat(64) });
  await put(small, Buffer.alloc(10));
  const answer = await complete(small.json['id']);
  expect([answer.status, answer.json['code']]).toEqual([422, 'uploads/hash-mismatch']);
  expect((await complete(small.json['id'])).status).toBe(404);
  await eventually(() => !stub.store.everything().some((name) => name.includes(String(small.json['id']))));
  expect(ticket.status).toBe(201);
});

test('what somebody else began is not there, and bad input is refused', async () => {
  const ticket = await begin({ name: 'mine.bin', size: 10 });
  const bob = (await register(call, 'bob@example.org')).access_token;
  const path = `/api/files/direct/${ticket.json['id']}/complete`;
  expect((await call('POST', path, { token: bob })).status).toBe(404);
  expect((await call('POST', path)).status).toBe(401);
  for (const draft of [
    { name: 'a' },
    { name: 'a', size: -1 },
    { name: '', size: 1 },
    { name: 'a', size: 1, sha256: 'x' },
  ]) {
    expect((await begin(draft)).status).toBe(422);
  }
  expect((await begin({ name: 'a', size: 301 * MIB })).json['code']).toBe('uploads/too-large');
});

test('what an account sent goes with it', async () => {
  const carl = (await register(call, 'carl@example.org')).access_token;
  const ticket = await call('POST', '/api/files/direct', { token: carl, json: { name: 'a', size: 10 } });
  expect((await put(ticket, Buffer.alloc(10))).status).toBe(200);
  const isThere = () => stub.store.everything().some((name) => name.includes(String(ticket.json['id'])));
  expect(isThere()).toBe(true);
  const gone = await call('DELETE', '/api/auth/me', { token: carl, json: { password: PASSWORD } });
  expect(gone.status).toBeLessThan(300);
  await eventually(() => !isThere());
});

test('a store that clients cannot reach answers 501', async () => {
  await using plain = await startServer();
  const local = createClient(plain.url);
  const { access_token } = await register(local, 'ann@example.org');
  const options = { token: access_token, json: { name: 'a', size: 1 }, may5xx: true };
  const answer = await local('POST', '/api/files/direct', options);
  expect([answer.status, answer.json['code']]).toEqual([501, 'uploads/direct-unsupported']);
});
