import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileAnswer } from '../modules/uploads/support.ts';
import { type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { filesBelow } from '../support/files-below.ts';
import { connectRaw, sendRaw, statusOf } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';

const MIB = 2 ** 20;

let server: TestServer;
let call: Call;
let token: string;
beforeAll(async () => {
  server = await startServer({ env: { UPLOAD_MAX_SIZE: '300MiB' } });
  call = createClient(server.url);
  token = (await register(call, 'ann@example.org')).access_token;
});
/** Every test cleans up, and deleted bytes go soon after. */
afterEach(() => eventually(async () => (await objectsOf(server)).length === 0));
afterAll(() => server[Symbol.asyncDispose]());

const objectsOf = ({ dataDir }: TestServer) => filesBelow(join(dataDir, 'objects'));

function formOf(name: string, content: Uint8Array): FormData {
  const form = new FormData();
  form.append('file', new File([content as Uint8Array<ArrayBuffer>], name));
  return form;
}

test('a file goes in, is listed, comes back whole and in parts, and goes away', async () => {
  const content = randomBytes(3 * MIB);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const uploaded = await call('POST', '/api/files', { token, body: formOf('données "1".bin', content) });
  expect(uploaded.status).toBe(201);
  const [file] = uploaded.json['items'] as [FileAnswer];
  expect(file).toMatchObject({ name: 'données "1".bin', size: content.length, sha256, visibility: 'private' });

  const list = await call('GET', '/api/files', { token });
  expect(list.json).toEqual({ items: [file], nextCursor: null });

  const get = (headers: Record<string, string> = {}) =>
    fetch(server.url + file.url, { headers: { authorization: `Bearer ${token}`, ...headers } });
  const whole = await get();
  const etag = whole.headers.get('etag') as string;
  expect(Buffer.compare(Buffer.from(await whole.arrayBuffer()), content)).toBe(0);
  expect(whole.headers.get('content-length')).toBe(String(content.length));

  const rest = await get({ range: `bytes=${MIB}-`, 'if-range': etag });
  expect(rest.status).toBe(206);
  expect(Buffer.compare(Buffer.from(await rest.arrayBuffer()), content.subarray(MIB))).toBe(0);

  expect((await get({ 'if-none-match': etag })).status).toBe(304);
  const head = await call('HEAD', file.url, { token });
  expect([head.status, head.headers.get('content-length'), head.headers.get('etag')]).toEqual([
    200,
    String(content.length),
    etag,
  ]);

  expect((await call('DELETE', `/api/files/${file.id}`, { token })).status).toBe(204);
  expect((await get()).status).toBe(404);
  await eventually(async () => (await objectsOf(server)).length === 0);
});

test('another person sees 404, nobody sees 401, and a published file everybody', async () => {
  const other = (await register(call, 'eve@example.org')).access_token;
  const { json } = await call('PUT', '/api/files/by-name/note', { token, body: 'mine' });
  const { id, url } = json as unknown as FileAnswer;
  expect((await call('GET', url, { token: other })).status).toBe(404);
  expect((await call('GET', url)).status).toBe(401);
  expect((await call('DELETE', `/api/files/${id}`, { token: other })).status).toBe(404);
  await call('PATCH', `/api/files/${id}`, { token, json: { visibility: 'public' } });
  expect((await call('GET', url)).text).toBe('mine');
  await call('DELETE', `/api/files/${id}`, { token });
});

test('deleting an account deletes the bytes of its files', async () => {
  const leaver = (await register(call, 'leaver@example.org')).access_token;
  await call('PUT', '/api/files/by-name/a', { token: leaver, body: 'x' });
  expect(await objectsOf(server)).toHaveLength(1);
  expect((await call('DELETE', '/api/auth/me', { token: leaver })).status).toBe(204);
  await eventually(async () => (await objectsOf(server)).length === 0);
});

describe('bad input', () => {
  const auth = () => `Host: localhost\r\nAuthorization: Bearer ${token}\r\n`;
  const cases: { what: string; request: () => string; status: number; code: string }[] = [
    {
      what: 'a 2 GB body against a smaller limit',
      request: () => `PUT /api/files/by-name/x HTTP/1.1\r\n${auth()}Content-Length: 2147483648\r\n\r\n`,
      status: 413,
      code: 'uploads/too-large',
    },
    {
      what: 'no token and a bad body',
      request: () => 'POST /api/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad',
      status: 401,
      code: 'auth/required',
    },
    {
      what: 'a form without a boundary',
      request: () =>
        `POST /api/files HTTP/1.1\r\n${auth()}Connection: close\r\nContent-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nbad`,
      status: 400,
      code: 'uploads/invalid-multipart',
    },
    {
      what: 'a NUL in a name',
      request: () =>
        `PUT /api/files/by-name/a%00b HTTP/1.1\r\n${auth()}Connection: close\r\nContent-Length: 1\r\n\r\nx`,
      status: 422,
      code: 'uploads/invalid-name',
    },
  ];
  test.each(cases)('$what is answered with $code', async ({ request, status, code }) => {
    const answer = await sendRaw(server.url, request());
    expect(statusOf(answer)).toBe(status);
    expect(answer).toContain(`"code":"${code}"`);
    expect(await objectsOf(server)).toEqual([]);
  });

  test('a body that stays shorter than it was declared leaves nothing', async () => {
    const connection = await connectRaw(server.url);
    connection.write(`PUT /api/files/by-name/liar HTTP/1.1\r\n${auth()}Content-Length: 1000000\r\n\r\n`);
    connection.write(new Uint8Array(400_000));
    await eventually(async () => (await objectsOf(server)).length === 1);
    connection.close();
    await eventually(async () => (await objectsOf(server)).length === 0);
    expect((await call('GET', '/api/files', { token })).json).toEqual({ items: [], nextCursor: null });
  });

  const ranges = {
    'that is backwards': 'bytes=9-1',
    'without numbers': 'bytes=-',
    'far outside': 'bytes=99999999999999999999-',
    'of a thousand parts': `bytes=${'0-0,'.repeat(1000)}0-0`,
    'in another unit': 'lines=1-2',
  };
  test.each(Object.entries(ranges))('a range %s gives the whole file or 416', async (_, range) => {
    const { json } = await call('PUT', '/api/files/by-name/ranged', { token, body: 'content' });
    const answer = await call('GET', (json as unknown as FileAnswer).url, { token, headers: { range } });
    expect([answer.status, answer.status === 200 ? answer.text : 'content']).toEqual([
      answer.status === 416 ? 416 : 200,
      'content',
    ]);
    await call('DELETE', `/api/files/${json['id']}`, { token });
  });
});

test.skipIf(process.platform !== 'linux')('a large upload and download take little memory', async () => {
  const peakMib = async () => {
    const status = await readFile(`/proc/${server.pid}/status`, 'latin1');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  };
  const before = await peakMib();
  const chunk = randomBytes(MIB);
  async function* large() {
    for (let count = 0; count < 256; count++) yield chunk;
  }
  const uploaded = await call('PUT', '/api/files/by-name/large', { token, body: large() as unknown as FormData });
  const { id, url, size } = uploaded.json as unknown as FileAnswer;
  expect(size).toBe(256 * MIB);
  const response = await fetch(server.url + url, { headers: { authorization: `Bearer ${token}` } });
  let received = 0;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) received += part.length;
  expect(received).toBe(size);
  expect((await peakMib()) - before).toBeLessThan(60);
  await call('DELETE', `/api/files/${id}`, { token });
});

test('a crash in the middle of an upload leaves every acknowledged file and nothing else', async () => {
  await using crashing = await startServer();
  const client = createClient(crashing.url);
  const owner = (await register(client, 'ann@example.org')).access_token;
  const acknowledged: FileAnswer[] = [];
  for (let count = 0; count < 5; count++) {
    const answer = await client('PUT', `/api/files/by-name/${count}`, { token: owner, body: `content ${count}` });
    acknowledged.unshift(answer.json as unknown as FileAnswer);
  }
  const connection = await connectRaw(crashing.url);
  connection.write(
    `PUT /api/files/by-name/half HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${owner}\r\nContent-Length: 5000000\r\n\r\n`,
  );
  connection.write(new Uint8Array(MIB));
  await eventually(async () => (await objectsOf(crashing)).length === 6);

  await using again = await crashing.restart();
  const after = createClient(again.url);
  expect((await after('GET', '/api/files', { token: owner })).json).toEqual({ items: acknowledged, nextCursor: null });
  for (const [index, { url }] of acknowledged.entries()) {
    expect((await after('GET', url, { token: owner })).text).toBe(`content ${4 - index}`);
  }
  expect(await objectsOf(again)).toHaveLength(5);
  connection.close();
});
