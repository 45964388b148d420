import { readPage, selectAll } from './html-page.ts';
import { COMMENT_NODE, DOCUMENT_TYPE_NODE, isElement, TEXT_NODE } from './html-tree.ts';
import type { View } from './view.ts';

interface TreeNode {
  readonly type: 'element' | 'text' | 'comment' | 'doctype';
  readonly name?: string;
  readonly namespace?: 'svg' | 'math';
  readonly attributes?: Readonly<Record<string, string>>;
  readonly text?: string;
  readonly children?: TreeNode[];
}

/** A document as a tree of plain values. */
export const treeView: View = (input) => {
  const { selector, maxDepth, maxNodes } = input.options as { selector?: string; maxDepth: number; maxNodes: number };
  const { document } = readPage(input);
  let left = maxNodes;
  let isCut = false;
  const toTree = (node: Node, depth: number): TreeNode[] => {
    if (left-- <= 0) {
      isCut = true;
      return [];
    }
    if (node.nodeType === TEXT_NODE) return [{ type: 'text', text: node.textContent ?? '' }];
    if (node.nodeType === COMMENT_NODE) return [{ type: 'comment', text: node.textContent ?? '' }];
    if (node.nodeType === DOCUMENT_TYPE_NODE) return [{ type: 'doctype', name: (node as DocumentType).name }];
    if (!isElement(node)) return [];
    const children = depth < maxDepth ? [...node.childNodes].flatMap((child) => toTree(child, depth + 1)) : [];
    if (depth >= maxDepth && node.firstChild) isCut = true;
    return [
      {
        type: 'element',
        name: node.localName,
        ...(NAMESPACES[node.namespaceURI ?? ''] ?? {}),
        attributes: Object.fromEntries([...node.attributes].map(({ name, value }) => [name, value])),
        children,
      },
    ];
  };
  const roots: Node[] = selector === undefined ? [...document.childNodes] : selectAll(document, selector);
  const result = roots.flatMap((node) => toTree(node, 1));
  return { result, warnings: isCut ? [{ code: 'cut', message: 'The tree is larger than shown.' }] : [] };
};

const NAMESPACES: Readonly<Record<string, { readonly namespace: 'svg' | 'math' }>> = {
  'http://www.w3.org/2000/svg': { namespace: 'svg' },
  'http://www.w3.org/1998/Math/MathML': { namespace: 'math' },
};
