import { parse, parseFragment } from 'parse5';
import { isElement, linkedomAdapter } from '../../src/modules/parse/html-tree.ts';

/**
 * Cases in the format of html5lib's tree-construction tests
 * (https://github.com/html5lib/html5lib-tests/blob/master/tree-construction/README.md).
 */
export interface TreeCase {
  readonly data: string;
  /** The tree, one node a line. */
  readonly tree: string;
  /** The element around the source, when it is a fragment: `td`, `svg path`, `math mi`. */
  readonly context: string | null;
  readonly scripting: boolean;
}

/** Reads a file of cases. One that does not say how it feels about scripts is two. */
export function readTreeCases(text: string): TreeCase[] {
  return text
    .split(/(?:^|\n)#data\n/)
    .slice(1)
    .flatMap((block) => {
      const sections = new Map<string, string[]>([['data', []]]);
      let lines = sections.get('data') as string[];
      for (const line of block.split('\n')) {
        const name = /^#(errors|new-errors|document-fragment|document|script-on|script-off)$/.exec(line)?.[1];
        if (name === undefined) {
          lines.push(line);
        } else {
          lines = [];
          sections.set(name, lines);
        }
      }
      const tree = (sections.get('document') ?? []).join('\n').replace(/\n+$/, '');
      const context = sections.get('document-fragment')?.[0]?.trim() ?? null;
      const modes = sections.has('script-on') ? [true] : sections.has('script-off') ? [false] : [true, false];
      return modes.map((scripting) => ({ data: (sections.get('data') ?? []).join('\n'), tree, context, scripting }));
    });
}

/** The tree that our adapter builds for a case, in the same notation. */
export function buildTree({ data, context, scripting }: TreeCase): string {
  const treeAdapter = linkedomAdapter();
  const options = { treeAdapter, scriptingEnabled: scripting } as never;
  const lines: string[] = [];
  if (context === null) {
    writeTree(parse(data, options) as never, 0, lines);
  } else {
    const [first = '', second] = context.split(' ');
    const namespace = second === undefined ? HTML : first === 'svg' ? SVG : MATH;
    const element = treeAdapter.createElement(second ?? first, namespace as never, []);
    writeTree(parseFragment(element as never, data, options) as never, 0, lines);
  }
  return lines.join('\n');
}

const HTML = 'http://www.w3.org/1999/xhtml';
const SVG = 'http://www.w3.org/2000/svg';
const MATH = 'http://www.w3.org/1998/Math/MathML';
const PREFIXES: Readonly<Record<string, string>> = { [SVG]: 'svg ', [MATH]: 'math ' };

function writeTree(parent: Node, indent: number, lines: string[]): void {
  const start = `| ${' '.repeat(indent)}`;
  for (const node of parent.childNodes) {
    if (node.nodeType === 10) {
      const { name, publicId, systemId } = node as DocumentType;
      lines.push(`${start}<!DOCTYPE ${name}${publicId || systemId ? ` "${publicId}" "${systemId}"` : ''}>`);
    } else if (node.nodeType === 8) {
      lines.push(`${start}<!-- ${node.textContent} -->`);
    } else if (node.nodeType === 3) {
      lines.push(`${start}"${node.textContent}"`);
    } else if (isElement(node)) {
      writeElement(node, start, indent, lines);
    }
  }
}

function writeElement(element: Element, start: string, indent: number, lines: string[]): void {
  const prefix = PREFIXES[element.namespaceURI ?? ''] ?? '';
  lines.push(`${start}<${prefix}${element.localName}>`);
  const attributes = [...element.attributes].map(({ name, value }) => [
    prefix ? name.replace(/^(xlink|xml|xmlns):/, '$1 ') : name,
    value,
  ]);
  for (const [name, value] of attributes.sort(([one = ''], [other = '']) => (one < other ? -1 : 1))) {
    lines.push(`${start}  ${name}="${value}"`);
  }
  if (element.localName === 'template' && prefix === '') {
    lines.push(`${start}  content`);
    writeTree(element, indent + 4, lines);
  } else {
    writeTree(element, indent + 2, lines);
  }
}
