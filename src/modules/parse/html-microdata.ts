import type { Addresses } from './html-address.ts';
import { isElement } from './html-tree.ts';

/** An item of Microdata (HTML §5.4): its types and its properties, nested items among their values. */
export interface MicrodataItem {
  readonly type: readonly string[];
  readonly id?: string;
  readonly properties: Readonly<Record<string, readonly (string | MicrodataItem)[]>>;
}

const MAX_ITEMS = 500;

/** The top-level items of a document (HTML §5.2.5). */
export function readMicrodata(document: Document, addresses: Addresses): MicrodataItem[] {
  const items: MicrodataItem[] = [];
  for (const element of document.querySelectorAll('[itemscope]:not([itemprop])')) {
    if (items.length >= MAX_ITEMS) break;
    items.push(readItem(element, document, addresses, new Set()));
  }
  return items;
}

function readItem(root: Element, document: Document, addresses: Addresses, seen: Set<Element>): MicrodataItem {
  seen.add(root);
  const properties: Record<string, (string | MicrodataItem)[]> = Object.create(null);
  const referenced = tokens(root.getAttribute('itemref')).flatMap((id) => {
    const found = document.getElementById(id);
    return found && !seen.has(found) ? [found] : [];
  });
  for (const element of propertyElements([...childElements(root), ...referenced])) {
    const isItem = element.hasAttribute('itemscope');
    if (isItem && seen.has(element)) continue;
    const value = isItem ? readItem(element, document, addresses, seen) : readValue(element, addresses);
    for (const name of tokens(element.getAttribute('itemprop'))) {
      properties[name] ??= [];
      properties[name].push(value);
    }
  }
  const id = root.getAttribute('itemid');
  return { type: tokens(root.getAttribute('itemtype')), ...(id ? { id: addresses.resolve(id) } : {}), properties };
}

/** Elements with `itemprop` below the given ones, those inside another item left out. */
function* propertyElements(roots: readonly Element[]): Generator<Element> {
  const waiting = [...roots].reverse();
  for (let element = waiting.pop(); element; element = waiting.pop()) {
    if (element.hasAttribute('itemprop')) yield element;
    if (!element.hasAttribute('itemscope')) waiting.push(...[...childElements(element)].reverse());
  }
}

/** HTML §5.2.4, "value of a property". */
function readValue(element: Element, addresses: Addresses): string {
  const attribute = VALUES[element.localName];
  const value = attribute ? element.getAttribute(attribute) : null;
  if (value === null) return (element.textContent ?? '').trim();
  return attribute === 'src' || attribute === 'href' || attribute === 'data' ? addresses.resolve(value) : value;
}

const VALUES: Readonly<Record<string, string>> = {
  meta: 'content',
  audio: 'src',
  embed: 'src',
  iframe: 'src',
  img: 'src',
  source: 'src',
  track: 'src',
  video: 'src',
  a: 'href',
  area: 'href',
  link: 'href',
  object: 'data',
  data: 'value',
  meter: 'value',
  time: 'datetime',
};

function childElements(element: Element): Element[] {
  return [...element.childNodes].filter((node): node is Element => isElement(node));
}

function tokens(value: string | null): string[] {
  return value?.split(/\s+/).filter(Boolean) ?? [];
}
