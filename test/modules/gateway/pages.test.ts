import { describe, expect, test } from 'bun:test';
import { AppError, defineProblems } from '../../../src/kernel/errors.ts';
import { createLandingPage } from '../../../src/modules/gateway/landing.ts';
import { fillTemplate } from '../../../src/modules/gateway/page.ts';
import { createProblemPages } from '../../../src/modules/gateway/problem-pages.ts';
import { createSetupPage } from '../../../src/modules/gateway/setup.ts';
import { requestFor } from './request.ts';

const tables = [
  defineProblems('shop', {
    'sold-out': { status: 409, title: 'Sold <out>', detail: 'Nothing & nobody is left.' },
    closed: { status: 503, title: 'Closed', detail: 'Come back later.' },
  }),
  defineProblems('bank', { broke: { status: 402, title: 'Broke', detail: 'There is no money.' } }),
];

describe('the landing page', () => {
  const landing = createLandingPage('9.8.7');

  test('names the version and links the documentation', async () => {
    const answer = await landing.handle(requestFor('/'));
    const text = (await answer?.text()) ?? '';
    expect(answer?.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(text).toContain('version 9.8.7');
    expect(text).toContain('href="/swagger"');
    expect(text).toContain('href="/health/ready"');
  });

  test('needs nothing inline and nothing from elsewhere', async () => {
    for (const page of [await landing.handle(requestFor('/')), await createSetupPage()(requestFor('/setup'))]) {
      expect(page?.headers.get('content-security-policy')).toStartWith("default-src 'self'");
      const text = (await page?.text()) ?? '';
      expect(text).not.toMatch(/<style|style=|<script>|\son\w+=|https?:\/\/|\{\{/);
    }
  });

  test.each([
    ['/other', 'GET'],
    ['/', 'POST'],
  ])('does not answer %s by %s', async (path, method) => {
    expect(await landing.handle(requestFor(path, { method }))).toBeNull();
  });
});

describe('problem pages', () => {
  const pages = createProblemPages(tables);

  test('explain a type as HTML, escaped', async () => {
    const answer = await pages.one(
      requestFor('/problems/shop/sold-out', { headers: { accept: 'text/html,*/*' } }),
      'shop',
      'sold-out',
    );
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('vary')).toBe('Accept');
    const text = await answer.text();
    expect(text).toContain('Sold &#60;out&#62;');
    expect(text).toContain('Nothing &#38; nobody');
    expect(text).toContain('409');
    expect(text).not.toContain('<out>');
  });

  test.each(['application/json', 'application/problem+json', 'application/json, text/html'])(
    'explain a type as JSON for %s',
    async (accept) => {
      const answer = await pages.one(requestFor('/problems/shop/closed', { headers: { accept } }), 'shop', 'closed');
      expect(answer.headers.get('content-type')).toBe('application/json');
      expect(await answer.json()).toEqual({
        type: '/problems/shop/closed',
        code: 'shop/closed',
        title: 'Closed',
        status: 503,
        detail: 'Come back later.',
      });
    },
  );

  test('list every type in order', async () => {
    const answer = await pages.index(requestFor('/problems', { headers: { accept: 'application/json' } }));
    const { items } = (await answer.json()) as { items: { code: string }[] };
    expect(items.map((item) => item.code)).toEqual(['bank/broke', 'shop/closed', 'shop/sold-out']);
    expect(await (await pages.index(requestFor('/problems'))).text()).toContain('href="/problems/bank/broke"');
  });

  test.each([
    ['shop', 'nothing'],
    ['__proto__', 'constructor'],
    ['shop', '__proto__'],
    ['shop/closed', ''],
  ])('have no page for %s/%s', async (area, name) => {
    const failed = await pages.one(requestFor('/problems/x/y'), area, name).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(AppError);
    expect((failed as AppError).code).toBe('request/not-found');
  });
});

test('a template without one of its values is a bug that shows at once', () => {
  expect(() => fillTemplate('<p>{{missing}}</p>', {})).toThrow('missing');
});
