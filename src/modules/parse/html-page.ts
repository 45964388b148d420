import { type Addresses, createAddresses } from './html-address.ts';
import { PAGE_LIMITS, TreeLimitError } from './html-limits.ts';
import { parseDocument } from './html-tree.ts';
import { parseProblems } from './problems.ts';
import type { ViewInput } from './view.ts';

/** A page as a tree, and how its addresses are meant. */
export interface Page {
  readonly document: Document;
  readonly addresses: Addresses;
}

/** @throws `parse/too-deep`, `parse/too-many-nodes` */
export function readPage({ text, url }: Pick<ViewInput, 'text' | 'url'>): Page {
  const document = withinLimits(() => parseDocument(text, PAGE_LIMITS));
  const base = document.querySelector('base[href]')?.getAttribute('href') ?? null;
  return { document, addresses: createAddresses(url, base) };
}

/** @throws `parse/too-deep`, `parse/too-many-nodes` */
export function withinLimits<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof TreeLimitError)) throw error;
    throw parseProblems.create(error.limit === 'depth' ? 'too-deep' : 'too-many-nodes', { cause: error });
  }
}

/** Elements that a selector matches, in the order of the page. @throws `parse/selector` */
export function selectAll(root: ParentNode, selector: string): Element[] {
  try {
    return [...root.querySelectorAll(selector)];
  } catch (error) {
    throw parseProblems.create('selector', { cause: error });
  }
}

/** Text with its white space collapsed. */
export function plainText(node: Node | null | undefined): string {
  return (node?.textContent ?? '').replace(/\s+/g, ' ').trim();
}
