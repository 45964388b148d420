import type { ParseResult } from 'oxc-parser';
import { linesOf, parseValid, type Syntax } from './js-source.ts';
import type { View } from './view.ts';

/** Finds what a module imports without building a tree. */
export type ImportScanner = (
  source: Uint8Array,
  syntax: Syntax,
) => readonly { readonly path: string; readonly kind: string }[];

/** What a source loads, once for each address and way. */
export function importsView(scanImports: ImportScanner): View {
  return (input) => {
    try {
      const found = scanImports(input.utf8, input.options.syntax as Syntax);
      return { result: found.map(({ path, kind }) => ({ path, kind })), warnings: [] };
    } catch {
      // What the scanner cannot read, the parser may; and where it cannot, it says why.
      return { result: importsOf(parseValid(input), input.text), warnings: [] };
    }
  };
}

function importsOf({ module }: ParseResult, text: string) {
  const imported = module.staticImports.map(({ moduleRequest }) => moduleRequest.value);
  const exported = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap((each) => each.moduleRequest?.value ?? []),
  );
  const dynamic = module.dynamicImports.flatMap(({ moduleRequest: { start, end } }) => {
    const path = /^(["'`])([^\\]*)\1$/.exec(text.slice(start, end))?.[2];
    return path === undefined ? [] : [{ path, kind: 'dynamic-import' }];
  });
  return [...[...imported, ...exported].map((path) => ({ path, kind: 'import-statement' })), ...dynamic];
}

/** The names that a module gives to others. */
export const exportsView: View = (input) => {
  const { module } = parseValid(input);
  const lines = linesOf(input.text);
  const result = module.staticExports.flatMap(({ entries }) =>
    entries.map(({ exportName, localName, importName, moduleRequest, isType, start }) => ({
      name: exportName.kind === 'Default' ? 'default' : (exportName.name ?? '*'),
      local: localName.name ?? null,
      from: moduleRequest?.value ?? null,
      imported: importName.kind === 'All' || importName.kind === 'AllButDefault' ? '*' : (importName.name ?? null),
      isType,
      ...lines.at(start),
    })),
  );
  return { result, warnings: [] };
};
