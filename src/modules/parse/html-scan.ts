import { decodeHTML, decodeHTMLAttribute } from 'entities';

/** An element's start tag, met while a page streams by. */
export interface ScannedTag {
  readonly name: string;
  /** Decoded; null when there is none. */
  attribute(name: string): string | null;
}

export interface ScanHandlers {
  /** Start tags of elements that the selector matches. */
  readonly tag?: (tag: ScannedTag) => void;
  /** The whole text inside one, when it ends. Raw for `script` and `style`, decoded elsewhere. */
  readonly text?: (text: string, tag: ScannedTag) => void;
}

/** Goes once through a page and calls back what it meets. No tree is built: nothing implied by the rules of HTML is seen. */
export type Scan = (source: string, handlers: Readonly<Record<string, ScanHandlers>>) => void;

/** Most text that is gathered for one element, in UTF-16 units. */
const MAX_TEXT = 1024 * 1024;

/** The part of `HTMLRewriter` that is used; a global of Bun and of some other runtimes. */
interface Rewriter {
  on(
    selector: string,
    handlers: {
      element?: (element: RewriterElement) => void;
      text?: (chunk: { readonly text: string }) => void;
    },
  ): Rewriter;
  transform(source: string): string;
}

interface RewriterElement {
  readonly tagName: string;
  getAttribute(name: string): string | null;
  readonly attributes: Iterable<[name: string, value: string]>;
  onEndTag(handler: () => void): unknown;
  remove(): unknown;
}

export function rewriterScan(createRewriter: () => Rewriter): Scan {
  return (source, handlers) => {
    const rewriter = createRewriter();
    const byName = new Map<string, (tag: ScannedTag) => void>();
    for (const [selector, { tag, text }] of Object.entries(handlers)) {
      if (text) rewriter.on(selector, textHandlers(text, tag));
      else if (tag && NAMES.test(selector)) for (const name of selector.split(', ')) byName.set(name, tag);
      else if (tag) rewriter.on(selector, { element: (element) => tag(toTag(element)) });
    }
    // Each selector is tried at each tag, so those that are only names are one.
    rewriter.on(['html', ...byName.keys()].join(), {
      element(element) {
        const scanned = toTag(element);
        byName.get(scanned.name)?.(scanned);
        // Nobody wants the page again: what is removed is read all the same, but not written.
        if (scanned.name === 'html') element.remove();
      },
    });
    rewriter.transform(source);
  };
}

/** A selector, or a list of selectors, that is nothing but names. */
const NAMES = /^[a-z]+(, [a-z]+)*$/;

/** Gathers the text in elements. */
function textHandlers(text: (text: string, tag: ScannedTag) => void, tag?: (tag: ScannedTag) => void) {
  let open: { readonly tag: ScannedTag; text: string } | null = null;
  const close = () => {
    if (!open) return;
    const { tag: owner, text: gathered } = open;
    open = null;
    text(/^(script|style)$/.test(owner.name) ? gathered : decodeHTML(gathered), owner);
  };
  return {
    element(element: RewriterElement) {
      const scanned = keepTag(element);
      tag?.(scanned);
      // An element of the same kind inside means that the end tag of the one before was left out.
      close();
      open = { tag: scanned, text: '' };
      try {
        element.onEndTag(close);
      } catch {
        // A void element has no end.
        close();
      }
    },
    text(chunk: { readonly text: string }) {
      if (open && open.text.length < MAX_TEXT) open.text += chunk.text;
    },
  };
}

/** Attributes can be read while the rewriter is at the element, and only then. */
function toTag(element: RewriterElement): ScannedTag {
  return {
    name: element.tagName.toLowerCase(),
    attribute: (name) => decodeAttribute(element.getAttribute(name)),
  };
}

/** A tag that is looked at later. */
function keepTag(element: RewriterElement): ScannedTag {
  const attributes = new Map(element.attributes);
  return {
    name: element.tagName.toLowerCase(),
    attribute: (name) => decodeAttribute(attributes.get(name) ?? null),
  };
}

function decodeAttribute(value: string | null): string | null {
  return value === null ? null : decodeHTMLAttribute(value);
}
