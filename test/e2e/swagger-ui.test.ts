import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Browser, Locator, Page } from 'playwright-core';
import { startServer, type TestServer } from '../support/server.ts';
import { launchBrowser, type Misconduct, watch } from './browser.ts';

const EMAIL = 'ada@example.org';
const PASSWORD = 'analytical engine no. 1';
const CONTENT = 'a file that went through Swagger UI\n';

let page: Page;

/** The block of one operation, opened. */
async function open(method: string, path: string): Promise<Locator> {
  const block = page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) });
  if ((await block.locator('.opblock-body').count()) === 0) await block.locator('.opblock-summary-control').click();
  await block.locator('button.execute').waitFor();
  return block;
}

/** Presses Execute and answers with what the UI shows of the answer. */
async function execute(block: Locator): Promise<{ status: string; shown: string }> {
  const clear = block.locator('.btn-clear');
  if ((await clear.count()) > 0) await clear.click(); // takes the answer before this one away
  await block.locator('button.execute').click();
  const answer = block.locator('.live-responses-table tbody tr.response').first();
  await answer.waitFor();
  const status = await answer.locator('.response-col_status').textContent();
  return { status: status?.trim() ?? '', shown: (await answer.textContent()) ?? '' };
}

describe('a person with Swagger UI', () => {
  let server: TestServer;
  let browser: Browser;
  let misconduct: Misconduct;
  let id = '';

  beforeAll(async () => {
    server = await startServer();
    const registered = await fetch(`${server.url}/api/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: EMAIL, password: PASSWORD }),
    });
    expect(registered.status).toBe(201);
    browser = await launchBrowser();
    page = await browser.newPage();
    misconduct = watch(page, server.url);
    await page.goto(`${server.url}/swagger`);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test('is refused before signing in', async () => {
    const { status, shown } = await execute(await open('get', '/api/files'));
    expect(status).toStartWith('401');
    expect(shown).toContain('auth/required');
  }, 30_000);

  test('signs in through the Authorize button', async () => {
    await page.locator('.auth-wrapper button.authorize').click();
    const dialog = page.locator('.dialog-ux .auth-container', { hasText: 'OAuth2, password' });
    await dialog.locator('#oauth_username').fill(EMAIL);
    await dialog.locator('#oauth_password').fill(PASSWORD);
    await dialog.locator('button.authorize').click();
    await dialog.getByText('Authorized', { exact: true }).waitFor();
    await page.locator('.dialog-ux .close-modal').click();
  }, 30_000);

  test('uploads a file', async () => {
    const block = await open('post', '/api/files');
    await block
      .locator('input[type=file]')
      .setInputFiles({ name: 'swagger.txt', mimeType: 'text/plain', buffer: Buffer.from(CONTENT) });
    const { status, shown } = await execute(block);
    expect(status).toStartWith('201');
    expect(shown).toContain('"name": "swagger.txt"');
    expect(shown).toContain(`"size": ${CONTENT.length}`);
    id = /"id": "([0-9a-f-]{36})"/.exec(shown)?.[1] ?? '';
    expect(id).not.toBe('');
  }, 30_000);

  test('finds it in the list', async () => {
    const { status, shown } = await execute(await open('get', '/api/files'));
    expect(status).toStartWith('200');
    expect(shown).toContain(id);
    expect(shown).toContain('"nextCursor": null');
  }, 30_000);

  test('reads its content', async () => {
    const block = await open('get', '/api/files/{id}/content');
    await block.locator('tr[data-param-name="id"] input').fill(id);
    const { status, shown } = await execute(block);
    expect(status).toStartWith('200');
    const link = block.getByText('Download file');
    if ((await link.count()) > 0) {
      const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
      expect(await Bun.file(await download.path()).text()).toBe(CONTENT);
    } else {
      expect(shown).toContain(CONTENT.trim());
    }
  }, 30_000);

  test('deletes it', async () => {
    const block = await open('delete', '/api/files/{id}');
    await block.locator('tr[data-param-name="id"] input').fill(id);
    expect((await execute(block)).status).toStartWith('204');
    expect((await execute(await open('get', '/api/files'))).shown).not.toContain(id);
  }, 30_000);

  test('never left this server, and no policy was broken', () => {
    expect(misconduct).toEqual({ foreign: [], complaints: [] });
  });
});
