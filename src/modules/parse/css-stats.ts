import { type CssNode, generate, parse, walk } from 'css-tree';
import { assertShallow, CSS_BRACKETS } from './bracket-depth.ts';
import type { SourceText } from './charset.ts';
import { specificityOf } from './css-specificity.ts';
import type { Warning } from './job.ts';
import type { View } from './view.ts';

/** Most distinct values of one kind that are listed. */
const MAX_VALUES = 500;

const NAMED_COLORS = new Set(
  'aqua black blue brown coral crimson cyan gold gray green grey indigo ivory khaki lavender lime magenta maroon navy olive orange orchid pink plum purple red salmon sienna silver tan teal tomato turquoise violet wheat white yellow transparent currentcolor rebeccapurple'.split(
    ' ',
  ),
);
const COLOR_FUNCTIONS = /^(rgba?|hsla?|hwb|lab|lch|oklab|oklch|color|color-mix|light-dark)$/i;

/** How a stylesheet is made: what there is of what, and how often. */
export const statsView: View = (input) => {
  const warnings: Warning[] = [];
  const sheet = readSheet(input, warnings);
  const counts = { rules: 0, selectors: 0, declarations: 0, important: 0, atRules: 0, urls: 0 };
  const colors = tally();
  const fonts = tally();
  const fontSizes = tally();
  const mediaQueries = tally();
  const properties = tally();
  const customProperties = tally();
  const atRules = tally();
  const specificities = tally();
  let heaviest = { selector: '', specificity: [0, 0, 0] as readonly number[] };

  walk(sheet, {
    visit: 'Rule',
    enter(node) {
      counts.rules++;
      if (node.prelude.type !== 'SelectorList') return;
      for (const selector of node.prelude.children) {
        counts.selectors++;
        const specificity = specificityOf(selector);
        specificities.add(specificity.join(','));
        if (isHeavier(specificity, heaviest.specificity)) heaviest = { selector: generate(selector), specificity };
      }
    },
  });
  walk(sheet, {
    visit: 'Declaration',
    enter(node) {
      counts.declarations++;
      if (node.important) counts.important++;
      const name = node.property.toLowerCase();
      (name.startsWith('--') ? customProperties : properties).add(name.startsWith('--') ? node.property : name);
      if (name === 'font-family') fonts.add(generate(node.value));
      if (name === 'font-size') fontSizes.add(generate(node.value));
      if (node.value.type === 'Value') for (const color of colorsIn(node.value, name)) colors.add(color);
    },
  });
  walk(sheet, {
    visit: 'Atrule',
    enter(node) {
      counts.atRules++;
      atRules.add(node.name.toLowerCase());
      if (node.name.toLowerCase() === 'media' && node.prelude) mediaQueries.add(generate(node.prelude));
    },
  });
  walk(sheet, { visit: 'Url', enter: () => void counts.urls++ });

  const result = {
    bytes: input.utf8.byteLength,
    ...counts,
    specificity: { heaviest, histogram: specificities.list() },
    colors: colors.list(),
    fonts: fonts.list(),
    fontSizes: fontSizes.list(),
    mediaQueries: mediaQueries.list(),
    properties: properties.list(),
    customProperties: customProperties.list(),
    atRulesByName: atRules.list(),
  };
  return { result, warnings };
};

/** A stylesheet as a tree; what cannot be read is named. @throws `parse/too-deep` */
export function readSheet({ text, utf8 }: SourceText, warnings: Warning[]): CssNode {
  assertShallow(utf8, CSS_BRACKETS);
  const sheet = parse(text, {
    positions: true,
    onParseError: ({ message, line, column }: { message: string; line?: number; column?: number } & Error) => {
      if (warnings.length < 1000)
        warnings.push({ code: 'syntax', message, ...(line && column ? { line, column } : {}) });
    },
  } as never);
  return sheet as CssNode;
}

function* colorsIn(value: CssNode, property: string): Generator<string> {
  const found: string[] = [];
  walk(value, {
    enter(node: CssNode) {
      if (node.type === 'Hash') found.push(`#${node.value.toLowerCase()}`);
      else if (node.type === 'Function' && COLOR_FUNCTIONS.test(node.name)) {
        found.push(generate(node).toLowerCase());
        return walk.skip;
      } else if (
        node.type === 'Identifier' &&
        NAMED_COLORS.has(node.name.toLowerCase()) &&
        !/^(font|animation|grid)/.test(property)
      ) {
        found.push(node.name.toLowerCase());
      }
      return undefined;
    },
  });
  yield* found;
}

function isHeavier(one: readonly number[], other: readonly number[]): boolean {
  for (const [index, value] of one.entries()) {
    if (value !== other[index]) return value > (other[index] ?? 0);
  }
  return false;
}

/** Counts by value, most frequent first. */
function tally() {
  const counts = new Map<string, number>();
  return {
    add: (value: string) => counts.set(value, (counts.get(value) ?? 0) + 1),
    list: () =>
      [...counts]
        .map(([value, count]) => ({ value, count }))
        .sort((one, other) => other.count - one.count)
        .slice(0, MAX_VALUES),
  };
}
