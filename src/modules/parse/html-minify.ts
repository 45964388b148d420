import { readPage } from './html-page.ts';
import { serializeContent } from './html-serialize.ts';
import { COMMENT_NODE, isElement, TEXT_NODE } from './html-tree.ts';
import type { View } from './view.ts';

/** Elements in which white space counts, or whose text is a language of its own. */
const KEPT = new Set(['pre', 'textarea', 'script', 'style', 'plaintext', 'xmp', 'listing']);
/** Elements between which white space is never seen. */
const APART = new Set(
  'html head body pre title meta link script style base template table caption colgroup col thead tbody tfoot tr td th ul ol li dl dt dd p div section article aside header footer nav main h1 h2 h3 h4 h5 h6 form fieldset legend address blockquote figure figcaption hr details summary option optgroup select datalist noscript'.split(
    ' ',
  ),
);
/** Attributes that say nothing when they say this. */
const DEFAULTS: Readonly<Record<string, readonly string[]>> = {
  script: ['text/javascript', 'application/javascript'],
  style: ['text/css'],
  link: ['text/css'],
};

/** The page with less of what nobody sees: comments, white space between blocks, attributes with their default. */
export const minifyView: View = (input) => {
  const { document } = readPage(input);
  shrink(document);
  const html = serializeContent(document);
  return {
    result: { html, bytesBefore: input.utf8.byteLength, bytesAfter: new TextEncoder().encode(html).byteLength },
    warnings: [],
  };
};

function shrink(parent: Node): void {
  for (const node of [...parent.childNodes]) {
    if (node.nodeType === COMMENT_NODE) {
      (node as ChildNode).remove();
    } else if (node.nodeType === TEXT_NODE) {
      shrinkText(node as Text, parent);
    } else if (isElement(node)) {
      const type = node.getAttribute('type');
      if (type !== null && DEFAULTS[node.localName]?.includes(type.trim().toLowerCase())) node.removeAttribute('type');
      if (!KEPT.has(node.localName)) shrink(node);
    }
  }
}

function shrinkText(text: Text, parent: Node): void {
  let value = (text.textContent ?? '').replace(/[ \t\n\f\r]+/g, ' ');
  const isApart = (node: Node | null) => node !== null && isElement(node) && APART.has(node.localName);
  if (isApart(text.previousSibling) || (text.previousSibling === null && isApart(parent)))
    value = value.replace(/^ /, '');
  if (isApart(text.nextSibling) || (text.nextSibling === null && isApart(parent))) value = value.replace(/ $/, '');
  if (value === '') text.remove();
  else text.textContent = value;
}
