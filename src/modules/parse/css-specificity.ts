import type { CssNode } from 'css-tree';

/** Ids, classes and elements of a selector (Selectors 4 §17). */
export type Specificity = readonly [ids: number, classes: number, elements: number];

const LEGACY_ELEMENTS = new Set(['before', 'after', 'first-line', 'first-letter']);
/** Pseudo-classes that weigh as the heaviest of their arguments. */
const AS_ARGUMENT = new Set(['is', 'not', 'has', 'matches', '-webkit-any', '-moz-any']);

export function specificityOf(selector: CssNode): Specificity {
  const sum: [number, number, number] = [0, 0, 0];
  const add = (specificity: Specificity) => {
    for (const [index, value] of specificity.entries()) sum[index as 0] += value;
  };
  if (selector.type !== 'Selector') return sum;
  for (const node of selector.children) {
    switch (node.type) {
      case 'IdSelector':
        add([1, 0, 0]);
        break;
      case 'ClassSelector':
      case 'AttributeSelector':
        add([0, 1, 0]);
        break;
      case 'TypeSelector':
        if (node.name !== '*' && !node.name.endsWith('|*')) add([0, 0, 1]);
        break;
      case 'PseudoElementSelector':
        add([0, 0, 1]);
        break;
      case 'PseudoClassSelector':
        add(ofPseudoClass(node));
        break;
    }
  }
  return sum;
}

function ofPseudoClass(node: Extract<CssNode, { type: 'PseudoClassSelector' }>): Specificity {
  const name = node.name.toLowerCase();
  if (LEGACY_ELEMENTS.has(name)) return [0, 0, 1];
  if (name === 'where') return [0, 0, 0];
  const lists = [...(node.children ?? [])].flatMap((child) =>
    child.type === 'SelectorList'
      ? [child]
      : child.type === 'Nth' && child.selector?.type === 'SelectorList'
        ? [child.selector]
        : [],
  );
  const heaviest = lists
    .flatMap((list) => [...list.children].map(specificityOf))
    .reduce<Specificity>((most, each) => (compare(each, most) > 0 ? each : most), [0, 0, 0]);
  if (AS_ARGUMENT.has(name)) return heaviest;
  return [heaviest[0], heaviest[1] + 1, heaviest[2]];
}

function compare(one: Specificity, other: Specificity): number {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2];
}
