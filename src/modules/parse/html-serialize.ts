import { serialize, serializeOuter } from 'parse5';
import { linkedomAdapter } from './html-tree.ts';

/** It reads any document. */
const treeAdapter = linkedomAdapter();

/** An element with all that is in it (HTML §13.3). linkedom's own text leaves out escapes that a browser needs. */
export function serializeNode(element: Element): string {
  return serializeOuter(element as never, { treeAdapter } as never);
}

/** What is in a document or an element. */
export function serializeContent(parent: Document | Element): string {
  return serialize(parent as never, { treeAdapter } as never);
}
