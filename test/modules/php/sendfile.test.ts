import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStaticFile } from '../../../src/drivers/static-files.ts';
import { createSendfile } from '../../../src/modules/php/sendfile.ts';
import { recordingLog } from '../../support/fakes.ts';
import { openHttpCache, settle } from '../cache/http-support.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sendfile-'));
  for (const name of NAMES) await writeFile(join(root, name), 'private');
});
afterAll(() => rm(root, { recursive: true }));

/** The first two look like a bundler's work. */
const NAMES = ['0d2f6c1e-7b1a-4c55-9a0e-3f9a2c1b77de.png', 'invoice.3f9a2c1b.png', 'plain.png'];

const send = async (request: Request, name: string, headers: [string, string][] = []) => {
  const sendFile = createSendfile({ root, openFile: openStaticFile, log: recordingLog() });
  const answer = {
    status: 200,
    headers: [['x-accel-redirect', `/${name}`] as const, ...headers],
    body: new Uint8Array(),
  };
  const response = await sendFile(request, answer);
  if (!response) throw new Error('no file was sent');
  return response;
};

test.each(NAMES)('%s, which a script lets one caller have, is nobody else’s', async (name) => {
  const cache = openHttpCache();
  cache.replies((request) => {
    const isAllowed = request.headers.has('authorization');
    return isAllowed ? send(request, name) : new Response('no', { status: 401 });
  });
  const allowed = await cache.send('/file', { headers: { authorization: 'Basic YTpi' } });
  expect([allowed.headers.get('cache-control'), await allowed.text()]).toEqual(['private, no-cache', 'private']);
  await settle();
  expect((await cache.send('/file')).status).toBe(401);
});

test('a script may say more about its file', async () => {
  const headers: [string, string][] = [['cache-control', 'public, max-age=60']];
  const response = await send(new Request('http://localhost/'), 'plain.png', headers);
  expect(response.headers.get('cache-control')).toBe('public, max-age=60');
});
