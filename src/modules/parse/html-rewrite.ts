import { type Addresses, readSrcset } from './html-address.ts';
import { readPage, selectAll } from './html-page.ts';
import { ALLOWED_ELEMENTS, sanitize } from './html-sanitize.ts';
import { serializeContent } from './html-serialize.ts';
import type { View } from './view.ts';

/** Attributes with one address (HTML §"Attributes", those of type URL). */
const ADDRESS_ATTRIBUTES = ['href', 'src', 'action', 'formaction', 'poster', 'data', 'cite', 'background', 'manifest'];
const SET_ATTRIBUTES = ['srcset', 'imagesrcset'];

interface RewriteOptions {
  readonly absoluteUrls: boolean;
  readonly lazy: boolean;
  readonly sanitize: boolean;
  readonly fragment: boolean;
  readonly allowElements?: readonly string[];
  readonly set?: readonly { readonly selector: string; readonly attribute: string; readonly value: string }[];
  readonly remove?: readonly { readonly selector: string; readonly attribute?: string }[];
  readonly integrity?: Readonly<Record<string, string>>;
}

/** The page with changes. What is to be harmless is made so last, whatever the changes were. */
export const rewriteView: View = (input) => {
  const options = input.options as RewriteOptions;
  const { document, addresses } = readPage(input);
  for (const { selector, attribute } of options.remove ?? []) {
    for (const element of selectAll(document, selector)) {
      if (attribute === undefined) element.remove();
      else element.removeAttribute(attribute);
    }
  }
  for (const { selector, attribute, value } of options.set ?? []) {
    for (const element of selectAll(document, selector)) element.setAttribute(attribute, value);
  }
  if (options.lazy) {
    for (const element of selectAll(document, 'img:not([loading]),iframe:not([loading])')) {
      element.setAttribute('loading', 'lazy');
    }
  }
  if (options.integrity) pin(document, addresses, options.integrity);
  if (options.absoluteUrls) makeAbsolute(document, addresses);
  if (options.sanitize) sanitize(document, new Set(options.allowElements ?? ALLOWED_ELEMENTS));
  const html = serializeContent(options.fragment ? document.body : document);
  return { result: { html }, warnings: [] };
};

/** Makes every address absolute; the base is then of no use and goes. */
export function makeAbsolute(document: Document, addresses: Addresses): void {
  for (const name of ADDRESS_ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const value = element.getAttribute(name) as string;
      // An address inside the page is meant to stay inside.
      if (value.startsWith('#') || element.localName === 'base') continue;
      element.setAttribute(name, addresses.resolve(value));
    }
  }
  for (const name of SET_ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const candidates = readSrcset(element.getAttribute(name) as string);
      const text = candidates.map(({ url, descriptor }) => `${addresses.resolve(url)} ${descriptor}`.trim()).join(', ');
      element.setAttribute(name, text);
    }
  }
  for (const element of document.querySelectorAll('base[href]')) element.removeAttribute('href');
}

/** Subresource Integrity §3.3: scripts and stylesheets of known addresses may have no other content. */
function pin(document: Document, addresses: Addresses, hashes: Readonly<Record<string, string>>): void {
  for (const element of document.querySelectorAll(
    'script[src],link[rel~=stylesheet][href],link[rel~=modulepreload][href]',
  )) {
    const address = element.getAttribute('src') ?? (element.getAttribute('href') as string);
    const hash = hashes[address] ?? hashes[addresses.resolve(address)];
    if (hash === undefined) continue;
    element.setAttribute('integrity', hash);
    if (!element.hasAttribute('crossorigin')) element.setAttribute('crossorigin', 'anonymous');
  }
}
