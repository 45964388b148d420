import type { Warning } from './job.ts';
import { linesOf, type OxcError, parseScript, parseValid, toWarnings } from './js-source.ts';
import type { View } from './view.ts';

/** The tree of a program as ESTree has it (https://github.com/estree/estree), with the nodes of TypeScript. */
export const astView: View = (input) => {
  const { program, comments } = parseValid(input);
  const result = input.options.comments === true ? { ...program, comments } : program;
  return { result: JSON.parse(JSON.stringify(result, plainValue)) as unknown, warnings: [] };
};

/** Every error of a source with its place and a picture of it. */
export const errorsView: View = (input) => {
  const { errors } = parseScript(input, true);
  const listed = toWarnings(errors, input.text).map((warning, at) => ({
    ...warning,
    frame: frameOf(errors[at] as OxcError, warning, input.text),
  }));
  return { result: { isValid: errors.length === 0, total: errors.length, errors: listed }, warnings: [] };
};

/** The parser draws whole lines; of a program that is one line, only what is around the place is shown. */
const MAX_FRAME = 2_000;
const FRAME_AROUND = 60;

function frameOf({ codeframe, labels }: OxcError, { line = 1, column = 1, length = 1 }: Warning, text: string) {
  const [label] = labels;
  if (codeframe === null || codeframe.length <= MAX_FRAME || !label) {
    return codeframe?.slice(0, MAX_FRAME).toWellFormed() ?? null;
  }
  const before = text.slice(label.start - Math.min(column - 1, FRAME_AROUND), label.start);
  const [after = ''] = text.slice(label.start, label.start + FRAME_AROUND).split(/\r?\n/, 1);
  const margin = `${line} | `;
  const marks = '^'.repeat(Math.max(1, Math.min(length, after.length)));
  // A cut may have left half a character.
  return `${margin}${before}${after}\n${' '.repeat(margin.length + before.length)}${marks}`.toWellFormed();
}

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
/** Where a program may go one way or another (McCabe 1976). */
const DECISIONS = new Set([
  'IfStatement',
  'ConditionalExpression',
  'ForStatement',
  'ForInStatement',
  'ForOfStatement',
  'WhileStatement',
  'DoWhileStatement',
  'CatchClause',
]);

interface AstNode {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** How a program is made: what there is of what. */
export const statsView: View = (input) => {
  const { program, module, comments } = parseValid(input);
  const lines = linesOf(input.text);
  const nodes: Record<string, number> = {};
  const functions: { name: string | null; line: number; parameters: number; complexity: number }[] = [];
  let depth = 0;
  const waiting: {
    readonly node: AstNode;
    readonly level: number;
    readonly owner: (typeof functions)[number] | null;
    readonly name: string | null;
  }[] = [{ node: program as unknown as AstNode, level: 1, owner: null, name: null }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { node, level } = next;
    let { owner } = next;
    nodes[node.type] = (nodes[node.type] ?? 0) + 1;
    depth = Math.max(depth, level);
    if (FUNCTIONS.has(node.type)) {
      const parameters = node['params'];
      owner = {
        name: nameOf(node['id']) ?? next.name,
        line: lines.at(node.start).line,
        parameters: Array.isArray(parameters) ? parameters.length : 0,
        complexity: 1,
      };
      functions.push(owner);
    }
    const isDecision =
      DECISIONS.has(node.type) ||
      node.type === 'LogicalExpression' ||
      (node.type === 'SwitchCase' && node['test'] !== null);
    if (owner && isDecision) owner.complexity++;
    const named = nameOf(node['id']) ?? nameOf(node['key']) ?? null;
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value]) {
        if (isNode(child)) waiting.push({ node: child, level: level + 1, owner, name: named });
      }
    }
  }
  const result = {
    bytes: input.utf8.byteLength,
    lines: input.text.split('\n').length,
    comments: comments.length,
    isModule: module.hasModuleSyntax,
    imports: module.staticImports.length,
    dynamicImports: module.dynamicImports.length,
    exports: module.staticExports.reduce((sum, { entries }) => sum + entries.length, 0),
    depth,
    functions: functions.length,
    classes: (nodes['ClassDeclaration'] ?? 0) + (nodes['ClassExpression'] ?? 0),
    mostComplex: functions.sort((one, other) => other.complexity - one.complexity).slice(0, 20),
    nodes,
  };
  return { result, warnings: [] };
};

function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function nameOf(value: unknown): string | null {
  return isNode(value) && typeof value['name'] === 'string' ? value['name'] : null;
}

/** JSON has neither big integers nor regular expressions; the tree says both as text beside. */
function plainValue(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return null;
  return value instanceof RegExp ? null : value;
}
