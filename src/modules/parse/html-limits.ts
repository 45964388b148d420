import type { TreeAdapter, TreeAdapterTypeMap } from 'parse5';

/** A document nests deeper or has more nodes than is read. */
export class TreeLimitError extends Error {
  constructor(readonly limit: 'depth' | 'nodes') {
    super(`more ${limit} than allowed`);
  }
}

export interface TreeLimits {
  /** Levels of elements. The tree builder's time grows with the square of it. */
  readonly maxDepth: number;
  readonly maxNodes: number;
}

/** What a page may have: no real one comes near. */
export const PAGE_LIMITS: TreeLimits = { maxDepth: 1_000, maxNodes: 1_000_000 };

/** The adapter of one document, which ends the parse with a {@link TreeLimitError} past the limits. */
export function withLimits<Map extends TreeAdapterTypeMap>(
  adapter: TreeAdapter<Map>,
  { maxDepth, maxNodes }: TreeLimits,
): TreeAdapter<Map> {
  let nodes = 0;
  const depths = new WeakMap<object, number>();
  const count = <T>(node: T): T => {
    if (++nodes > maxNodes) throw new TreeLimitError('nodes');
    return node;
  };
  const noteDepth = (parent: Map['parentNode'], node: Map['childNode']): void => {
    if (!adapter.isElementNode(node)) return;
    const depth = (depths.get(parent as object) ?? 0) + 1;
    if (depth > maxDepth) throw new TreeLimitError('depth');
    depths.set(node as object, depth);
  };
  return {
    ...adapter,
    createElement: (name, namespace, attributes) => count(adapter.createElement(name, namespace, attributes)),
    createCommentNode: (data) => count(adapter.createCommentNode(data)),
    appendChild(parent, node) {
      noteDepth(parent, node);
      adapter.appendChild(parent, node);
    },
    insertBefore(parent, node, reference) {
      noteDepth(parent, node);
      adapter.insertBefore(parent, node, reference);
    },
    insertText(parent, text) {
      count(text);
      adapter.insertText(parent, text);
    },
  };
}
