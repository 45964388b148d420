import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Browser } from 'playwright-core';
import { startServer, type TestServer } from '../support/server.ts';
import { launchBrowser, watch } from './browser.ts';

const EMAIL = 'first@example.org';
const PASSWORD = 'a very first password';

describe('a person in front of a fresh server', () => {
  let server: TestServer;
  let browser: Browser;

  beforeAll(async () => {
    server = await startServer();
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test('sees on the landing page that it is well', async () => {
    const page = await browser.newPage();
    const misconduct = watch(page, server.url);
    await page.goto(server.url);
    await page.locator('#health-status[data-status="ok"]').waitFor();
    expect(await page.locator('#health-checks').textContent()).toContain('database:main');
    expect(misconduct).toEqual({ foreign: [], complaints: [] });
  }, 30_000);

  test('is told when the set-up link is not whole', async () => {
    const page = await browser.newPage();
    await page.goto(`${server.url}/setup`);
    expect(await page.locator('#outcome').textContent()).toContain('This link has no token');
    expect(await page.locator('#submit').isDisabled()).toBe(true);
  }, 30_000);

  test('creates the first admin by the printed link, once', async () => {
    const link = /http\S+\/setup#token=\S+/.exec(server.output())?.[0] ?? '';
    const page = await browser.newPage();
    const misconduct = watch(page, server.url);
    await page.goto(link);
    expect(page.url()).toBe(`${server.url}/setup`);
    await page.fill('#email', EMAIL);
    await page.fill('#password', PASSWORD);
    await page.click('#submit');
    await page.locator('#outcome[data-outcome="done"]').waitFor();
    expect(misconduct).toEqual({ foreign: [], complaints: [] });

    const answer = await fetch(`${server.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: EMAIL, password: PASSWORD }),
    });
    expect(((await answer.json()) as { user: { role: string } }).user.role).toBe('admin');

    const again = await browser.newPage();
    await again.goto(link);
    await again.fill('#email', 'second@example.org');
    await again.fill('#password', PASSWORD);
    await again.click('#submit');
    await again.locator('#outcome[data-outcome="refused"]').waitFor();
    expect(await again.locator('#outcome').textContent()).not.toBe('');
  }, 30_000);
});
