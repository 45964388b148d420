import type { Addresses } from './html-address.ts';
import { type Page, plainText, readPage, selectAll } from './html-page.ts';
import { serializeNode } from './html-serialize.ts';
import { parseProblems } from './problems.ts';
import type { View } from './view.ts';

interface Rule {
  readonly selector: string;
  readonly attribute?: string;
  readonly all?: boolean;
  readonly type?: 'text' | 'html' | 'number' | 'boolean' | 'date' | 'url';
}

/** Attributes that hold an address. */
const ADDRESSES = new Set(['href', 'src', 'action', 'poster', 'data', 'cite', 'formaction', 'background', 'manifest']);

/** Elements by a CSS selector, or a record by data rules. */
export const selectView: View = (input) => {
  const { selector, attribute, rules, limit } = input.options as {
    selector?: string;
    attribute?: string;
    rules?: Record<string, Rule>;
    limit: number;
  };
  const page = readPage(input);
  if (rules) {
    const result = Object.fromEntries(
      Object.entries(rules).map(([name, rule]) => [name, applyRule(page, rule, limit)]),
    );
    return { result, warnings: [] };
  }
  if (selector === undefined)
    throw parseProblems.create('selector', { detail: 'The view select needs a selector, or rules.' });
  const found = selectAll(page.document, selector);
  const warnings =
    found.length > limit
      ? [{ code: 'cut', message: `${found.length} elements match; the first ${limit} are shown.` }]
      : [];
  const result = found
    .slice(0, limit)
    .map((element) => (attribute === undefined ? describe(element) : attributeOf(element, attribute, page.addresses)));
  return { result, warnings };
};

function describe(element: Element) {
  return {
    tag: element.localName,
    text: plainText(element),
    attributes: Object.fromEntries([...element.attributes].map(({ name, value }) => [name, value])),
    html: serializeNode(element),
  };
}

function applyRule(
  { document, addresses }: Page,
  { selector, attribute, all, type = 'text' }: Rule,
  limit: number,
): unknown {
  const readValue = (element: Element): unknown => {
    if (type === 'html' && attribute === undefined) return serializeNode(element);
    const text = attribute === undefined ? plainText(element) : attributeOf(element, attribute, addresses);
    return text === null ? null : convert(text, type, addresses);
  };
  const found = selectAll(document, selector);
  if (all) return found.slice(0, limit).map(readValue);
  return found[0] ? readValue(found[0]) : null;
}

function attributeOf(element: Element, name: string, addresses: Addresses): string | null {
  const value = element.getAttribute(name.toLowerCase()) ?? element.getAttribute(name);
  return value !== null && ADDRESSES.has(name.toLowerCase()) ? addresses.resolve(value) : value;
}

/** What the text means as that type; null when it means nothing. */
function convert(text: string, type: Rule['type'], addresses: Addresses): unknown {
  switch (type) {
    case 'number': {
      const found = /-?\d[\d,\s']*(?:\.\d+)?/.exec(text)?.[0].replace(/[,\s']/g, '');
      return found === undefined ? null : Number(found);
    }
    case 'boolean':
      return /^(true|yes|on|1)$/i.test(text) ? true : /^(false|no|off|0|)$/i.test(text) ? false : null;
    case 'date': {
      const time = Date.parse(text);
      return Number.isNaN(time) ? null : new Date(time).toISOString();
    }
    case 'url':
      return addresses.resolve(text);
    default:
      return text;
  }
}
