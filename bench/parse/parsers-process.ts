import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { transform } from 'lightningcss';
import { memoryRateLimiter } from '../../src/drivers/memory-rate-limiter.ts';
import { createParseService, type Language } from '../../src/modules/parse/index.ts';
import { parserPool } from '../../src/parser-pool.ts';
import { systemClock } from '../../src/ports/clock.ts';
import { largePage } from './pages.ts';
import type { Order, TaskName } from './parsers.ts';

/** One task of one side in a process of its own: prints the median of its milliseconds and ends. */

const order = JSON.parse(Bun.argv[2] ?? '') as Order;
const WARM_UP = 5;
const MIN_SAMPLES = 10;

const SOURCES: Readonly<Record<TaskName, () => string>> = {
  meta: largePage,
  outline: largePage,
  minify: () => readFileSync(join(order.modules, 'bootstrap/dist/css/bootstrap.css'), 'utf8'),
  imports: () => readFileSync(join(order.modules, 'typescript/lib/typescript.js'), 'utf8'),
};
const LANGUAGES: Readonly<Record<TaskName, Language>> = { meta: 'html', outline: 'html', minify: 'css', imports: 'js' };

const source = SOURCES[order.task]();
const bytes = new TextEncoder().encode(source);
const task = order.side === 'ours' ? ours() : peer(order.task);
const times: number[] = [];
const endsAt = performance.now() + order.seconds * 1000;
for (let index = 0; index < WARM_UP + MIN_SAMPLES || performance.now() < endsAt; index++) {
  const startedAt = performance.now();
  await task();
  if (index >= WARM_UP) times.push(performance.now() - startedAt);
}
process.stdout.write(String(times.toSorted((a, b) => a - b)[times.length >> 1]));
process.exit(0);

/** The service with its pool; nothing is kept, so every call is a job. */
function ours(): () => Promise<unknown> {
  const service = createParseService({
    pool: parserPool({ warn: console.error, error: console.error } as never),
    cache: null,
    clock: systemClock,
    limiter: memoryRateLimiter(systemClock),
    maxBytes: 64 * 1024 * 1024,
    fetcher: null,
    readFile: async () => null,
  });
  const syntax = order.task === 'imports' ? { syntax: 'js' } : {};
  const located = { bytes, contentType: null, url: null };
  return () => service.readTexts(LANGUAGES[order.task], located, { view: order.task, ...syntax }, 'bench');
}

/** What is used of jsdom. */
interface Dom {
  readonly JSDOM: new (html: string) => { readonly window: { readonly document: Document } };
}

function peer(name: TaskName): () => unknown {
  switch (name) {
    case 'meta':
      return () => {
        const found: (string | null)[] = [];
        const keep = (attribute: string) => ({
          element: (element: HTMLRewriterTypes.Element) => void found.push(element.getAttribute(attribute)),
        });
        const text = { text: (chunk: HTMLRewriterTypes.Text) => void found.push(chunk.text) };
        return new HTMLRewriter()
          .on('html', keep('lang'))
          .on('base', keep('href'))
          .on('title', text)
          .on('meta', keep('content'))
          .on('link', keep('href'))
          .on('script[type="application/ld+json"]', text)
          .transform(source);
      };
    case 'outline': {
      const { JSDOM } = createRequire(join(order.modules, 'index.js'))('jsdom') as Dom;
      return () =>
        [...new JSDOM(source).window.document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((each) => each.textContent);
    }
    case 'minify':
      return () => transform({ filename: 'a.css', code: bytes, minify: true, errorRecovery: true });
    case 'imports': {
      const transpiler = new Bun.Transpiler({ loader: 'js' });
      return () => transpiler.scanImports(source);
    }
  }
}
