import { createClient, register } from '../../test/support/client.ts';
import { startServer } from '../../test/support/server.ts';
import type { Soak } from '../soak.ts';
import { nextRandom, nextSource } from './sources.ts';

const LANGUAGES = ['html', 'css', 'js'] as const;
const VIEWS = {
  html: [
    'meta',
    'links',
    'assets',
    'outline',
    'tables',
    'forms',
    'article',
    'markdown',
    'text',
    'tree',
    'rewrite',
    'minify',
    'validate',
  ],
  css: ['minify', 'format', 'stats', 'dependencies'],
  js: ['imports', 'exports', 'transform', 'minify', 'ast', 'errors', 'stats'],
} as const;
/** What a source may come to: it is read, or refused by name, or has to wait. */
const ANSWERS = new Set([200, 413, 422, 429, 503]);
/** One who kills parser after parser has to wait, so there are many. */
const PEOPLE = 50;

/** Broken, hostile and odd sources for as long as it is asked: the server stays the same process, and answers. */
export const parse: Soak = {
  name: 'parse',
  summary: 'hostile sources to every view; the server must not notice',
  seconds: 600,
  size: 4,
  unit: 'clients',
  async run({ seconds, size, log, fail }) {
    await using server = await startServer({ env: { RATE_LIMIT: 'off', RATE_LIMIT_AUTH: 'off', LOG_LEVEL: 'warn' } });
    const call = createClient(server.url);
    const tokens: string[] = [];
    for (let person = 0; person < PEOPLE; person++) {
      tokens.push((await register(call, `person-${person}@example.org`)).access_token);
    }
    const figures = { asked: 0, read: 0, refused: 0, crashed: 0, late: 0, waited: 0, slowestLiveMs: 0 };
    const until = performance.now() + seconds * 1000;

    const client = async (seed: number): Promise<void> => {
      const random = nextRandom(seed);
      while (performance.now() < until) {
        const language = LANGUAGES[random(LANGUAGES.length)] as (typeof LANGUAGES)[number];
        const view = VIEWS[language][random(VIEWS[language].length)] as string;
        const source = nextSource(language, random);
        const token = tokens[random(PEOPLE)] as string;
        const answer = await call('POST', `/api/parse/${language}`, { token, json: { source, view }, may5xx: true });
        figures.asked++;
        const code = answer.json['code'];
        if (answer.status === 200) figures.read++;
        else if (code === 'parse/crashed') figures.crashed++;
        else if (code === 'parse/too-slow') figures.late++;
        else if (answer.status === 429 || answer.status === 503) figures.waited++;
        else figures.refused++;
        if (!ANSWERS.has(answer.status))
          fail('every source is read or refused', { language, view, status: answer.status, source });
      }
    };
    const watch = async (): Promise<void> => {
      while (performance.now() < until) {
        const askedAt = performance.now();
        const { status } = await call('GET', '/health/live');
        figures.slowestLiveMs = Math.max(figures.slowestLiveMs, Math.round(performance.now() - askedAt));
        if (status !== 200) fail('the server answers', { status });
        await Bun.sleep(50);
      }
    };
    await Promise.all([watch(), ...Array.from({ length: size }, (_, index) => client(index + 1))]);

    const after = await call('POST', '/api/parse/css', { token: tokens[0] as string, json: { source: 'a{b:c}' } });
    if (after.status !== 200) fail('the server parses on', { status: after.status });
    const ended = await Promise.race([server.exited, Promise.resolve(null)]);
    if (ended !== null) fail('the server lives', { code: ended });
    log('figures', figures);
    return figures;
  },
};
