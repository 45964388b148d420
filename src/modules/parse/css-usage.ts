import { type CssNode, clone, generate, type List, walk } from 'css-tree';
import { readSheet } from './css-stats.ts';
import { readPage } from './html-page.ts';
import type { Warning } from './job.ts';
import type { View, ViewInput } from './view.ts';

/** What a page without a user, a size and a time cannot tell: it counts as fulfilled. */
const DYNAMIC =
  /^(hover|active|focus|focus-visible|focus-within|visited|link|any-link|target|checked|disabled|enabled|invalid|valid|user-invalid|user-valid|required|optional|read-only|read-write|placeholder-shown|autofill|default|indeterminate|in-range|out-of-range|fullscreen|modal|open|popover-open|playing|paused|defined|host|host-context|root|scope|first-line|first-letter|before|after|-(webkit|moz|ms|o)-.*)$/i;

/** Rules of the stylesheet that nothing in the page matches. */
export const unusedView: View = (input) => {
  const warnings: Warning[] = [];
  const { sheet, isUsed } = prepare(input, warnings);
  const unused: { readonly selector: string; readonly line: number | undefined }[] = [];
  let total = 0;
  walk(sheet, {
    visit: 'Rule',
    enter(node) {
      if (node.prelude.type !== 'SelectorList' || isInKeyframes(this)) return;
      for (const selector of node.prelude.children) {
        total++;
        if (!isUsed(selector)) unused.push({ selector: generate(selector), line: selector.loc?.start.line });
      }
    },
  });
  return { result: { selectors: total, unused }, warnings };
};

/** The part of the stylesheet that the page needs: rules that match something, and what those refer to. */
export const criticalView: View = (input) => {
  const warnings: Warning[] = [];
  const { sheet, isUsed } = prepare(input, warnings);
  walk(sheet, {
    visit: 'Rule',
    enter(node, item: unknown, list: unknown) {
      if (isInKeyframes(this)) return;
      if (node.prelude.type !== 'SelectorList') {
        (list as List<CssNode>).remove(item as never);
        return;
      }
      const { children } = node.prelude;
      children.forEach((selector, at) => {
        if (!isUsed(selector)) children.remove(at);
      });
      if (children.isEmpty) (list as List<CssNode>).remove(item as never);
    },
  });
  const used = namesIn(sheet);
  walk(sheet, {
    visit: 'Atrule',
    leave(node: CssNode, item: unknown, list: unknown) {
      if (node.type !== 'Atrule') return;
      const name = node.name.toLowerCase();
      const isEmpty = node.block?.children.isEmpty ?? false;
      const isUnnamed = /^(-\w+-)?keyframes$/.test(name) && node.prelude !== null && !used.has(generate(node.prelude));
      const isUnusedFont =
        name === 'font-face' && node.block !== null && !familiesOf(node.block).some((family) => used.has(family));
      if (isEmpty || isUnnamed || isUnusedFont) (list as List<CssNode>).remove(item as never);
    },
  } as never);
  const code = generate(sheet);
  return {
    result: {
      code,
      bytesBefore: input.utf8.byteLength,
      bytesAfter: new TextEncoder().encode(code).byteLength,
    },
    warnings,
  };
};

function prepare(input: ViewInput, warnings: Warning[]) {
  const { document } = readPage({ text: (input.options as { html: string }).html, url: null });
  const sheet = readSheet(input, warnings);
  const known = new Map<string, boolean>();
  return {
    sheet,
    /** Whether something matches, or may; a selector that nobody here understands may. */
    isUsed(selector: CssNode): boolean {
      const text = staticPart(selector);
      const before = known.get(text);
      if (before !== undefined) return before;
      let isFound = true;
      try {
        isFound = text === '' || document.querySelector(text) !== null;
      } catch {
        // Not for us to judge.
      }
      known.set(text, isFound);
      return isFound;
    },
  };
}

/** The selector without what only a live page can tell. */
function staticPart(selector: CssNode): string {
  const copy = clone(selector);
  walk(copy, (node: CssNode, item: unknown, list: unknown) => {
    const isDynamic =
      node.type === 'PseudoElementSelector' || (node.type === 'PseudoClassSelector' && DYNAMIC.test(node.name));
    if (isDynamic && list) (list as List<CssNode>).remove(item as never);
  });
  return generate(copy)
    .replace(/^[\s>+~]+|[\s>+~]+$/g, '')
    .replace(/([>+~ ])(?=[>+~])/g, '$1*');
}

function isInKeyframes({ atrule }: { readonly atrule: { readonly name: string } | null }): boolean {
  return atrule !== null && /^(-\w+-)?keyframes$/i.test(atrule.name);
}

/** Every name and text that declarations use. */
function namesIn(sheet: CssNode): ReadonlySet<string> {
  const names = new Set<string>();
  walk(sheet, {
    visit: 'Declaration',
    enter(declaration) {
      if (/^(src|unicode-range)$/i.test(declaration.property) || this.atrule?.name.toLowerCase() === 'font-face')
        return;
      walk(declaration.value, (node) => {
        if (node.type === 'Identifier') names.add(node.name);
        if (node.type === 'String') names.add(node.value);
        if (node.type === 'Raw') for (const word of node.value.match(/[\w-]+/g) ?? []) names.add(word);
      });
      if (/^font(-family)?$/i.test(declaration.property))
        for (const family of splitFamilies(generate(declaration.value))) names.add(family);
    },
  });
  return names;
}

function familiesOf(block: CssNode): string[] {
  const families: string[] = [];
  walk(block, {
    visit: 'Declaration',
    enter(node) {
      if (node.property.toLowerCase() === 'font-family') families.push(...splitFamilies(generate(node.value)));
    },
  });
  return families;
}

function splitFamilies(value: string): string[] {
  return value.split(',').map((family) => family.trim().replace(/^["']|["']$/g, ''));
}
