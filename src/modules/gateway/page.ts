import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileResponse } from '../../web/file-response.ts';

/** Answers GET and HEAD with one page or asset, which stays the same as long as the server runs. */
export type Page = (request: Request) => Promise<Response>;

/** What our own pages may load: files of this server, nothing inline, nothing from elsewhere. */
const PAGE_POLICY =
  "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

const FOLDER = join(import.meta.dirname, 'pages');

export interface PageOptions {
  readonly type: string;
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A page from its text. Browsers ask again each time and get a 304 while it is the same. */
export function createPage({ type, text, lastModified, headers }: PageOptions): Page {
  const bytes = new TextEncoder().encode(text);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  return (request) =>
    fileResponse(request, {
      size: bytes.byteLength,
      type,
      etag,
      lastModified,
      headers: { 'cache-control': 'no-cache', 'content-security-policy': PAGE_POLICY, ...headers },
      open: async (range) => new Blob([range ? bytes.subarray(range.first, range.last + 1) : bytes]),
    });
}

/** A page from a file of `pages/`; each `{{name}}` becomes the escaped value of that name. */
export function loadPage(name: string, type: string, values: Readonly<Record<string, string>> = {}): Page {
  const template = loadTemplate(name);
  return createPage({ type, text: fillTemplate(template.text, values), lastModified: template.lastModified });
}

/** A file of `pages/` as it stands. */
export function loadTemplate(name: string): { readonly text: string; readonly lastModified: number } {
  const file = join(FOLDER, name);
  return { text: readFileSync(file, 'utf8'), lastModified: statSync(file).mtimeMs };
}

/** Puts values in the place of `{{name}}`, escaped for HTML text and attributes. A name without a value is a bug. */
export function fillTemplate(text: string, values: Readonly<Record<string, string | Markup>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the page has no value for {{${name}}}`);
    return typeof value === 'string' ? escapeHtml(value) : value.html;
  });
}

/** HTML that is put into a template unescaped. */
export interface Markup {
  readonly html: string;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
