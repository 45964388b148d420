import TurndownService from 'turndown';
import { plainText } from './html-page.ts';
import { isElement } from './html-tree.ts';

/** A part of a page as Markdown: CommonMark, and GitHub's tables and strikethrough. */
export function toMarkdown(root: Element): string {
  const turndown = new TurndownService({
    headingStyle: 'atx',
    codeBlockStyle: 'fenced',
    bulletListMarker: '-',
    emDelimiter: '*',
    hr: '---',
  });
  turndown.remove(['script', 'style', 'noscript', 'template', 'iframe', 'object', 'form', 'button'] as never);
  turndown.addRule('strikethrough', { filter: ['del', 's', 'strike'] as never, replacement: (text) => `~~${text}~~` });
  turndown.addRule('table', {
    filter: (node) => node.nodeName === 'TABLE' && isPlainTable(node),
    replacement: (_, node) => `\n\n${tableRows(node as Element)}\n\n`,
  });
  return `${turndown.turndown(root as never).trim()}\n`;
}

/** Whether a table holds data: no table inside, and cells of a line each. */
function isPlainTable(table: Element): boolean {
  return table.querySelector('table,ul,ol,pre,h1,h2,h3,h4,h5,h6') === null && table.querySelector('tr') !== null;
}

function tableRows(table: Element): string {
  const rows = [...table.querySelectorAll('tr')].map((row) =>
    [...row.childNodes]
      .filter((cell): cell is Element => isElement(cell) && /^t[dh]$/.test(cell.localName))
      .map((cell) => plainText(cell).replaceAll('|', '\\|')),
  );
  const width = Math.max(...rows.map((row) => row.length));
  const line = (cells: readonly string[]) =>
    `| ${Array.from({ length: width }, (_, at) => cells[at] ?? '').join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(Array.from({ length: width }, () => '---')), ...body.map(line)].join('\n');
}
