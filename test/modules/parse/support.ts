import { createParseChild } from '../../../src/modules/parse/child.ts';
import { cssViews } from '../../../src/modules/parse/css-views.ts';
import { rewriterScan } from '../../../src/modules/parse/html-scan.ts';
import { htmlViews } from '../../../src/modules/parse/html-views.ts';
import type { Language, ParseJob, ParseResult } from '../../../src/modules/parse/job.ts';
import { jsViews } from '../../../src/modules/parse/js-views.ts';

const child = createParseChild({
  html: async () => htmlViews(rewriterScan(() => new HTMLRewriter() as never)),
  css: async () => cssViews,
  js: async () => jsViews((source, syntax) => new Bun.Transpiler({ loader: syntax }).scanImports(source)),
});

/** A body as it comes, unless a test says otherwise. */
export function jobOf(language: Language, bytes: Uint8Array, change: Partial<ParseJob> = {}): ParseJob {
  return {
    language,
    bytes,
    contentType: null,
    url: null,
    request: null,
    query: {},
    maxBytes: 16 * 1024 * 1024,
    ...change,
  };
}

export const ask = (job: ParseJob): Promise<ParseResult> => child(job);

/** Asks in JSON, in this process. @returns what is inside the answer. */
export async function look(
  language: Language,
  source: string,
  view?: string,
  options: object = {},
  // biome-ignore lint/suspicious/noExplicitAny: the answer of any view
): Promise<{ result: any; warnings: any[] }> {
  const body = JSON.stringify({ source, ...(view === undefined ? {} : { view }), ...options });
  const answer = await ask(jobOf(language, new TextEncoder().encode(body), { contentType: 'application/json' }));
  if (answer.status === 'refused') throw Object.assign(new Error(answer.problem), { ...answer });
  return JSON.parse(`{${new TextDecoder().decode(answer.members)}}`);
}

/** The problem that a question meets, or null. */
export async function problemOf(language: Language, source: string, view?: string, options: object = {}) {
  try {
    await look(language, source, view, options);
    return null;
  } catch (error) {
    return (error as { problem?: string }).problem ?? String(error);
  }
}
