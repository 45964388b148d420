import { isElement, TEXT_NODE } from './html-tree.ts';

/**
 * What a page may keep when it is to be shown among one's own: HTML that has no script, no form, no frame, no style and no other
 * namespace. Drawings and formulas are left out whole: moving between namespaces is how most sanitisers were fooled.
 */
export const ALLOWED_ELEMENTS: readonly string[] =
  'a abbr address article aside b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd li main mark nav ol p picture pre q rp rt ruby s samp section small source span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr'.split(
    ' ',
  );

/** The frame of a document, always kept and stripped of its attributes. */
const FRAME = new Set(['html', 'head', 'body', 'title']);
/** Elements whose content goes with them; of all others the content stays. */
const DROPPED_WHOLE = new Set(
  'script style template noscript iframe object embed applet frame frameset noembed noframes plaintext xmp svg math select option optgroup datalist textarea button input form link meta base audio video canvas map portal fencedframe'.split(
    ' ',
  ),
);

const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  '*': ['title', 'lang', 'dir'],
  a: ['href', 'rel', 'hreflang'],
  img: ['src', 'srcset', 'sizes', 'alt', 'width', 'height', 'loading'],
  source: ['srcset', 'sizes', 'media', 'type'],
  blockquote: ['cite'],
  q: ['cite'],
  del: ['cite', 'datetime'],
  ins: ['cite', 'datetime'],
  time: ['datetime'],
  td: ['colspan', 'rowspan', 'headers'],
  th: ['colspan', 'rowspan', 'headers', 'scope', 'abbr'],
  col: ['span'],
  colgroup: ['span'],
  ol: ['start', 'reversed', 'type'],
  li: ['value'],
  details: ['open'],
};

const HTML_NAMESPACE = 'http://www.w3.org/1999/xhtml';
const allowed = new Set(ALLOWED_ELEMENTS);

/** Takes out of the document whatever is not known to be harmless. `elements` may only narrow what is kept. */
export function sanitize(document: Document, elements: ReadonlySet<string>): void {
  const keeps = (element: Element) =>
    element.namespaceURI === HTML_NAMESPACE &&
    (FRAME.has(element.localName) || (allowed.has(element.localName) && elements.has(element.localName)));
  const clean = (parent: Node): void => {
    for (const node of [...parent.childNodes]) {
      if (node.nodeType === TEXT_NODE) continue;
      if (!isElement(node)) {
        if (node.nodeType !== 10) (node as ChildNode).remove();
        continue;
      }
      if (node.namespaceURI !== HTML_NAMESPACE || DROPPED_WHOLE.has(node.localName)) {
        node.remove();
        continue;
      }
      clean(node);
      if (keeps(node)) cleanAttributes(node);
      else unwrap(node);
    }
  };
  clean(document);
}

function cleanAttributes(element: Element): void {
  const isFrame = FRAME.has(element.localName);
  const names = isFrame
    ? ['lang', 'dir']
    : [...(ATTRIBUTES['*'] as string[]), ...(ATTRIBUTES[element.localName] ?? [])];
  for (const { name, value } of [...element.attributes]) {
    if (!names.includes(name) || !isHarmless(name, value)) element.removeAttribute(name);
  }
  // What a stranger links to learns nothing of the page and cannot reach it.
  if (element.localName === 'a' && element.hasAttribute('href'))
    element.setAttribute('rel', 'noopener noreferrer nofollow');
}

/** Puts what is in an element in its place. */
function unwrap(element: Element): void {
  for (const child of [...element.childNodes]) element.parentNode?.insertBefore(child, element);
  element.remove();
}

function isHarmless(name: string, value: string): boolean {
  if (name === 'href' || name === 'cite') return isSafeAddress(value, /^(https?|mailto|tel)$/);
  if (name === 'src') return isSafeAddress(value, /^https?$/);
  if (name === 'srcset') return value.split(',').every((candidate) => isSafeAddress(candidate, /^https?$/));
  return true;
}

/** Schemes are judged as a browser sees them: without the controls and spaces that it skips (URL Standard §4.4). */
function isSafeAddress(address: string, schemes: RegExp): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a browser skips
  const seen = address.replace(/[\u0000-\u0020\u007f]+/g, '');
  const scheme = /^([^/?#]*?):/.exec(seen)?.[1];
  return scheme === undefined || schemes.test(scheme.toLowerCase());
}
