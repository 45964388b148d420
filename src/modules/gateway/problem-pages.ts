import type { ProblemRow, ProblemTable } from '../../kernel/errors.ts';
import { requestProblems } from '../../kernel/problems.ts';
import { createPage, escapeHtml, fillTemplate, loadTemplate, type Page } from './page.ts';

/** What `type` in a problem answer leads to, for programs. */
interface ProblemType {
  readonly type: string;
  readonly code: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
}

/** The documentation of every problem type, for people and for programs, by the request's `Accept`. */
export interface ProblemPages {
  /** All of them, by code. */
  index(request: Request): Promise<Response>;
  /** One of them. @throws `request/not-found` for a type that is not in the tables. */
  one(request: Request, area: string, name: string): Promise<Response>;
}

const HTML = 'text/html; charset=utf-8';
const HEADERS = { vary: 'Accept' };

/**
 * The pages are made when the first of them is asked for.
 * @param tables of every area; two tables may share an area, a code that appears twice is documented once.
 */
export function createProblemPages(tables: readonly ProblemTable[]): ProblemPages {
  let made: Pages | null = null;
  const pages = () => {
    made ??= createPages(tables);
    return made;
  };
  return {
    index: async (request) => pick(pages().index, request),
    async one(request, area, name) {
      const page = pages().types.get(`${area}/${name}`);
      if (!page) throw requestProblems.create('not-found', { detail: 'There is no problem type of this name.' });
      return pick(page, request);
    },
  };
}

interface Pages {
  readonly index: Variants;
  /** By code. */
  readonly types: ReadonlyMap<string, Variants>;
}

function createPages(tables: readonly ProblemTable[]): Pages {
  const types = new Map<string, ProblemType>();
  for (const { area, rows } of tables) {
    for (const [name, row] of Object.entries(rows)) types.set(`${area}/${name}`, toType(`${area}/${name}`, row));
  }
  const sorted = [...types.values()].sort((a, b) => (a.code < b.code ? -1 : 1));
  return {
    index: createIndex(sorted),
    types: new Map(sorted.map((type) => [type.code, createTypePage(type)])),
  };
}

interface Variants {
  readonly html: Page;
  readonly json: Page;
}

function pick({ html, json }: Variants, request: Request): Promise<Response> {
  return wantsJson(request.headers.get('accept') ?? '') ? json(request) : html(request);
}

/** HTML unless JSON is named, and named before HTML (RFC 9110 §12.5.1, without weights). */
function wantsJson(accept: string): boolean {
  const json = accept.search(/application\/(?:problem\+)?json/i);
  const html = accept.search(/text\/html/i);
  return json >= 0 && (html < 0 || json < html);
}

function toType(code: string, { title, status, detail }: ProblemRow): ProblemType {
  return { type: `/problems/${code}`, code, title, status, detail };
}

function createTypePage(type: ProblemType): Variants {
  const template = loadTemplate('problem.html');
  const text = fillTemplate(template.text, { ...type, status: String(type.status) });
  return variants(text, type, template.lastModified);
}

function createIndex(types: readonly ProblemType[]): Variants {
  const template = loadTemplate('problems.html');
  const rows = types.map(
    ({ type, code, title, status }) =>
      `        <tr><th scope="row"><a href="${escapeHtml(type)}"><code>${escapeHtml(code)}</code></a></th>` +
      `<td>${escapeHtml(title)}</td><td class="number">${status}</td></tr>`,
  );
  const text = fillTemplate(template.text, { rows: { html: rows.join('\n') } });
  return variants(text, { items: types, nextCursor: null }, template.lastModified);
}

function variants(html: string, json: unknown, lastModified: number): Variants {
  return {
    html: createPage({ type: HTML, text: html, lastModified, headers: HEADERS }),
    json: createPage({ type: 'application/json', text: JSON.stringify(json), lastModified, headers: HEADERS }),
  };
}
