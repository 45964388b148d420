import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import type { FileAnswer } from '../modules/uploads/support.ts';
import { type Answer, type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { halves, sizeOf } from '../support/pictures.ts';
import { s3Settings } from '../support/s3-settings.ts';
import { type S3Stub, startS3Stub } from '../support/s3-stub.ts';
import { startServer, type TestServer } from '../support/server.ts';

let stub: S3Stub;
let server: TestServer;
let call: Call;
beforeAll(async () => {
  stub = await startS3Stub({ refusesChecksums: true, wantsEqualParts: true });
  const rules = { UPLOAD_TYPES: 'image/*,text/plain', USER_MAX_FILES: '4', S3_REDIRECT: 'on' };
  server = await startServer({ env: { ...s3Settings(stub), ...rules } });
  call = createClient(server.url);
}, 30_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await stub.stop();
});

const PAGE = Buffer.from('<!doctype html><script>alert(1)</script>');

/** Every way by which bytes become a file; each takes them under the name of a picture. */
const ways: Record<string, (token: string, content: Buffer<ArrayBuffer>) => Promise<Answer>> = {
  form(token, content) {
    const body = new FormData();
    body.append('file', new File([content], 'x.png', { type: 'image/png' }));
    return call('POST', '/api/files', { token, body });
  },
  raw: (token, content) =>
    call('PUT', '/api/files/by-name/x.png', { token, body: content, headers: { 'content-type': 'image/png' } }),
  resumable: (token, content) =>
    call('POST', '/api/uploads', {
      token,
      body: content,
      headers: {
        'tus-resumable': '1.0.0',
        'upload-length': String(content.length),
        'upload-metadata': `filename ${btoa('x.png')},filetype ${btoa('image/png')}`,
        'content-type': 'application/offset+octet-stream',
      },
    }),
  async direct(token, content) {
    const sha256 = createHash('sha256').update(content).digest('hex');
    const draft = { name: 'x.png', size: content.length, type: 'image/png', sha256 };
    const { json } = await call('POST', '/api/files/direct', { token, json: draft });
    await fetch(json['url'] as string, {
      method: 'PUT',
      headers: json['headers'] as Record<string, string>,
      body: content,
    });
    return call('POST', `/api/files/direct/${json['id']}/complete`, { token });
  },
};

test.each(Object.entries(ways))(
  'what is not allowed is refused by the way %p as by the others, and nothing is left',
  async (way, send) => {
    const { access_token: token } = await register(call, `${way}@example.org`);
    const refused = await send(token, PAGE);
    expect([way, refused.status, refused.text.includes('uploads/type-not-allowed')]).toEqual([way, 415, true]);
    expect((await call('GET', '/api/files', { token })).json['items']).toEqual([]);
    await eventually(() => stub.store.everything().length === 0);

    const admitted = await send(token, halves(32, 16));
    expect([way, admitted.status]).toEqual([way, 201]);
    const [file] = (await call('GET', '/api/files', { token })).json['items'] as [FileAnswer];
    const headers = { authorization: `Bearer ${token}` };
    const picture = await fetch(`${server.url}/api/files/${file.id}/image?width=16&format=png`, { headers });
    expect(await sizeOf(new Uint8Array(await picture.arrayBuffer()))).toBe('16x8');
    expect((await call('DELETE', `/api/files/${file.id}`, { token })).status).toBe(204);
    // What a direct upload wrote stays where its URL still leads, until that expires.
    await eventually(() => stub.store.everything().every((name) => name.includes('/direct/')));
  },
  30_000,
);

test('the number of files counts over all ways', async () => {
  const { access_token: token } = await register(call, 'many@example.org');
  for (const send of [ways['form'], ways['resumable'], ways['direct'], ways['form']]) {
    expect((await send?.(token, halves(8, 8)))?.status).toBe(201);
  }
  for (const send of [ways['form'], ways['resumable'], ways['direct']]) {
    const refused = await send?.(token, halves(8, 8));
    expect([refused?.status, refused?.text.includes('uploads/too-many-files')]).toEqual([413, true]);
  }
}, 30_000);

test('a download is sent to the bucket, which gives the bytes with our type and name', async () => {
  const { access_token: token } = await register(call, 'redirect@example.org');
  const made = await call('PUT', '/api/files/by-name/été.txt', { token, body: 'from the bucket' });
  const file = made.json as unknown as FileAnswer;
  const answer = await call('GET', file.url, { token });
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([302, 'no-store']);
  const fetched = await fetch(answer.headers.get('location') as string, { headers: { range: 'bytes=5-7' } });
  expect([fetched.status, await fetched.text()]).toEqual([206, 'the']);
  expect(fetched.headers.get('content-type')).toBe('text/plain;charset=utf-8');
  expect(fetched.headers.get('content-disposition')).toBe(
    `inline; filename="_t_.txt"; filename*=UTF-8''%C3%A9t%C3%A9.txt`,
  );

  const etag = `"${file.sha256}"`;
  expect((await call('GET', file.url, { token, headers: { 'if-none-match': etag } })).status).toBe(304);
  const head = await call('HEAD', file.url, { token });
  expect([head.status, head.headers.get('content-length'), head.headers.get('etag')]).toEqual([200, '15', etag]);
  // A link that may be used once is not traded for an address that may be used often.
  const { json } = await call('POST', `/api/files/${file.id}/links`, { token, json: { expiresIn: 60, once: true } });
  const once = await fetch(json['url'] as string, { redirect: 'manual' });
  expect([once.status, await once.text()]).toEqual([200, 'from the bucket']);
});
