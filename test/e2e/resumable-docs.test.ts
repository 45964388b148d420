import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, register } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('the guide to resumable uploads', () => {
  let guide: string;
  let server: TestServer;
  let token: string;
  beforeAll(async () => {
    guide = await readFile(join(ROOT, 'docs/resumable-uploads.md'), 'utf8');
    server = await startServer();
    token = (await register(createClient(server.url), 'ann@example.org')).access_token;
  }, 60_000);
  afterAll(() => server?.[Symbol.asyncDispose]());

  const snippet = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(guide)?.[1] ?? '';

  test('has commands that work', async () => {
    const child = Bun.spawn(['bash', '-euc', snippet('sh')], {
      env: { PATH: process.env['PATH'] ?? '', URL: server.url, TOKEN: token },
      stdout: 'pipe',
    });
    const said = (await new Response(child.stdout).text()).toLowerCase();
    expect([...said.matchAll(/^upload-offset: (\d+)/gm)].map(([, offset]) => offset)).toEqual(['6', '6', '11']);
    expect(said).toMatch(/^upload-file-id: [0-9a-f-]{36}/m);
  });

  test('has a program that works', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-guide-'));
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    const given = `const URL_OF_SERVER = ${JSON.stringify(server.url)};\nconst TOKEN = ${JSON.stringify(token)};\n`;
    await writeFile(join(directory, 'upload.mts'), given + snippet('ts'));
    const child = Bun.spawn([process.execPath, 'upload.mts'], { cwd: directory, stdout: 'pipe' });
    expect(await new Response(child.stdout).text()).toMatch(/it is the file [0-9a-f-]{36}\n/);
    await rm(directory, { recursive: true });
  });
});
