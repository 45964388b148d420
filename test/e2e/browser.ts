import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const CANDIDATES = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const executablePath = CANDIDATES.find((path) => path !== undefined && existsSync(path));

/** Starts Chromium, found on the machine or named by CHROMIUM; `./bunkhouse test` installs it. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

/** What a page did that it must not do. */
export interface Misconduct {
  /** Requests to anywhere but the given origin. */
  readonly foreign: string[];
  /** Errors, and violations of the content security policy. A failed request is the test's own to judge. */
  readonly complaints: string[];
}

/** Starts watching a page, before it goes anywhere. */
export function watch(page: Page, origin: string): Misconduct {
  const misconduct: Misconduct = { foreign: [], complaints: [] };
  page.setDefaultTimeout(10_000);
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !/^(?:data|blob):/.test(url)) misconduct.foreign.push(url);
  });
  page.on('console', (message) => {
    const text = message.text();
    const isFailedRequest = text.startsWith('Failed to load resource: the server responded');
    if ((message.type() === 'error' && !isFailedRequest) || /content security policy/i.test(text)) {
      misconduct.complaints.push(text);
    }
  });
  page.on('pageerror', (error) => misconduct.complaints.push(String(error)));
  return misconduct;
}
