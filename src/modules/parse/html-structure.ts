import { plainText, readPage, selectAll } from './html-page.ts';
import { isElement } from './html-tree.ts';
import type { Warning } from './job.ts';
import type { View } from './view.ts';

interface Heading {
  readonly level: number;
  readonly text: string;
  readonly id: string | null;
  readonly children: Heading[];
}

/** The headings of a page, nested by their levels, and its landmarks. */
export const outlineView: View = (input) => {
  const { document } = readPage(input);
  const headings: Heading[] = [];
  const warnings: Warning[] = [];
  const path: Heading[] = [];
  for (const element of selectAll(document, 'h1,h2,h3,h4,h5,h6')) {
    const level = Number(element.localName[1]);
    const heading = { level, text: plainText(element), id: element.getAttribute('id'), children: [] };
    while ((path.at(-1)?.level ?? 0) >= level) path.pop();
    const parent = path.at(-1);
    if (level > (parent?.level ?? 0) + 1) {
      warnings.push({
        code: 'skipped-level',
        message: `A heading of level ${level} follows one of level ${parent?.level ?? 0}.`,
      });
    }
    (parent?.children ?? headings).push(heading);
    path.push(heading);
  }
  const landmarks = selectAll(document, 'main,nav,header,footer,aside,[role]').map((element) => ({
    element: element.localName,
    role: element.getAttribute('role'),
    label: element.getAttribute('aria-label'),
  }));
  return {
    result: { title: plainText(document.querySelector('head > title')) || null, headings, landmarks },
    warnings,
  };
};

/** A cell that spans more fills at most so many places. */
const MAX_SPAN = 1000;
/** Most places of one table. */
const MAX_PLACES = 1_000_000;

/** The tables of a page as rows of texts; cells that span are repeated in every place they cover. */
export const tablesView: View = (input) => {
  const { document } = readPage(input);
  const tables = selectAll(document, 'table').map((table) => {
    const rows = rowsOf(table);
    const grid = fillGrid(rows);
    const headRows = rows.filter((row) => row.parentElement?.localName === 'thead').length;
    const heads = headRows || (rows[0] && cellsOf(rows[0]).every(({ localName }) => localName === 'th') ? 1 : 0);
    const headers = heads > 0 ? (grid[heads - 1] ?? []) : [];
    const body = grid.slice(heads);
    return {
      caption: plainText([...table.childNodes].find((node) => isElement(node) && node.localName === 'caption')) || null,
      headers,
      rows: body,
      ...(headers.length > 0 && new Set(headers).size === headers.length && !headers.includes('')
        ? { records: body.map((row) => Object.fromEntries(headers.map((name, column) => [name, row[column] ?? '']))) }
        : {}),
    };
  });
  return { result: tables, warnings: [] };
};

function rowsOf(table: Element): Element[] {
  return [...table.childNodes].filter(isElement).flatMap((child) => {
    if (child.localName === 'tr') return [child];
    if (!/^t(head|body|foot)$/.test(child.localName)) return [];
    return [...child.childNodes].filter(isElement).filter(({ localName }) => localName === 'tr');
  });
}

function cellsOf(row: Element): Element[] {
  return [...row.childNodes].filter(isElement).filter(({ localName }) => localName === 'td' || localName === 'th');
}

/** The table model of HTML §4.9.12, with texts in its places. */
function fillGrid(rows: readonly Element[]): string[][] {
  const grid: string[][] = rows.map(() => []);
  let places = 0;
  for (const [y, row] of rows.entries()) {
    let x = 0;
    for (const cell of cellsOf(row)) {
      const line = grid[y] as string[];
      while (line[x] !== undefined) x++;
      const width = spanOf(cell, 'colspan');
      const height = Math.min(spanOf(cell, 'rowspan'), rows.length - y);
      const text = plainText(cell);
      for (let dy = 0; dy < height; dy++) {
        for (let dx = 0; dx < width && places < MAX_PLACES; dx++, places++) (grid[y + dy] as string[])[x + dx] = text;
      }
      x += width;
    }
  }
  return grid.map((line) => Array.from(line, (text) => text ?? ''));
}

function spanOf(cell: Element, name: string): number {
  const span = Number.parseInt(cell.getAttribute(name) ?? '1', 10);
  return span > 0 ? Math.min(span, MAX_SPAN) : 1;
}

/** The forms of a page and what they would send. */
export const formsView: View = (input) => {
  const { document, addresses } = readPage(input);
  const owned = selectAll(document, 'input,select,textarea,button');
  const forms = selectAll(document, 'form').map((form) => {
    const id = form.getAttribute('id');
    const fields = owned.filter((field) => {
      const other = field.getAttribute('form');
      return other === null ? field.closest('form') === form : other === id;
    });
    return {
      id,
      name: form.getAttribute('name'),
      action: addresses.resolve(form.getAttribute('action') ?? ''),
      method: (form.getAttribute('method') ?? 'get').toLowerCase(),
      enctype: form.getAttribute('enctype') ?? 'application/x-www-form-urlencoded',
      fields: fields.map((field) => describeField(field, document)),
    };
  });
  return { result: forms, warnings: [] };
};

function describeField(field: Element, document: Document) {
  const id = field.getAttribute('id');
  const name = field.localName;
  const label =
    (id && selectAll(document, 'label[for]').find((each) => each.getAttribute('for') === id)) || field.closest('label');
  return {
    name: field.getAttribute('name'),
    type:
      name === 'input' || name === 'button'
        ? (field.getAttribute('type') ?? (name === 'input' ? 'text' : 'submit')).toLowerCase()
        : name,
    value: name === 'textarea' ? (field.textContent ?? '') : field.getAttribute('value'),
    label: plainText(label || null) || field.getAttribute('aria-label') || null,
    placeholder: field.getAttribute('placeholder'),
    required: field.hasAttribute('required'),
    disabled: field.hasAttribute('disabled'),
    ...(name === 'input' && /^(checkbox|radio)$/i.test(field.getAttribute('type') ?? '')
      ? { checked: field.hasAttribute('checked') }
      : {}),
    ...(name === 'select'
      ? {
          options: selectAll(field, 'option').map((option) => ({
            value: option.getAttribute('value') ?? plainText(option),
            text: plainText(option),
            selected: option.hasAttribute('selected'),
          })),
        }
      : {}),
  };
}
