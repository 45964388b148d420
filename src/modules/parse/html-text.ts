import { readPage } from './html-page.ts';
import { isElement, TEXT_NODE } from './html-tree.ts';
import type { View } from './view.ts';

/** What is never shown as text. */
const HIDDEN = new Set([
  'script',
  'style',
  'template',
  'noscript',
  'head',
  'svg',
  'math',
  'iframe',
  'object',
  'select',
  'datalist',
]);
const BLOCKS = new Set(
  'address article aside blockquote body center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre section summary table tbody thead tfoot tr ul'.split(
    ' ',
  ),
);

/** What a reader sees, one line a block. */
export const textView: View = (input) => {
  const { document } = readPage(input);
  const text = visibleText(document.documentElement);
  return { result: { text, words: countWords(text) }, warnings: [] };
};

export function visibleText(root: Node): string {
  const lines: string[] = [''];
  const add = (text: string) => {
    lines[lines.length - 1] += text;
  };
  const walk = (node: Node): void => {
    for (const child of node.childNodes) {
      if (child.nodeType === TEXT_NODE) add((child.textContent ?? '').replace(/[\s\u00a0]+/g, ' '));
      if (!isElement(child) || HIDDEN.has(child.localName) || child.hasAttribute('hidden')) continue;
      if (child.localName === 'br') {
        lines.push('');
      } else if (child.localName === 'pre' || child.localName === 'textarea') {
        lines.push(...(child.textContent ?? '').split('\n'), '');
      } else if (BLOCKS.has(child.localName)) {
        lines.push('');
        walk(child);
        lines.push('');
      } else {
        walk(child);
        if (child.localName === 'td' || child.localName === 'th') add('\t');
      }
    }
  };
  walk(root);
  return lines
    .map((line) => line.replace(/ +/g, ' ').trim())
    .filter((line) => line !== '')
    .join('\n');
}

/** Words as people count them: of letters or digits; each character of scripts without spaces. */
export function countWords(text: string): number {
  return (
    text.match(
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{N}]+(?:['’.-][\p{L}\p{N}]+)*/gu,
    )?.length ?? 0
  );
}
