import browserslist from 'browserslist';
import {
  browserslistToTargets,
  type Targets,
  type TransformOptions,
  type TransformResult,
  transform,
} from 'lightningcss';
import { AppError } from '../../kernel/errors.ts';
import { assertShallow, CSS_BRACKETS } from './bracket-depth.ts';
import type { Warning } from './job.ts';
import { parseProblems } from './problems.ts';
import type { View, ViewInput } from './view.ts';

const FILENAME = 'source.css';

/** The stylesheet in as few bytes as it can be said. */
export const minifyView: View = (input) => write(input, { minify: true, ...targetsOf(input.options.targets) });

/** The stylesheet written evenly, one declaration a line. */
export const formatView: View = (input) => write(input, {});

/** The stylesheet in what these browsers understand: prefixes and older syntax added, what they do not need taken out. */
export const targetsView: View = (input) => write(input, targetsOf(input.options.targets));

/** What the stylesheet loads: imports and addresses, as they stand in it. */
export const dependenciesView: View = (input) => {
  const { dependencies, warnings } = run(input, { analyzeDependencies: true });
  const result = (dependencies ?? []).flatMap((dependency) => {
    if (dependency.type !== 'import' && dependency.type !== 'url') return [];
    const { type, url, loc } = dependency;
    const conditions = type === 'import' ? { media: dependency.media, supports: dependency.supports } : {};
    return [{ kind: type, url, line: loc.start.line, column: loc.start.column, ...conditions }];
  });
  return { result, warnings };
};

function write(input: ViewInput, options: Partial<TransformOptions<never>>) {
  const { code, map, warnings } = run(input, { ...options, sourceMap: input.options.sourceMap === true });
  return {
    result: {
      code,
      bytesBefore: input.utf8.byteLength,
      bytesAfter: code.byteLength,
      ...(map ? { sourceMap: JSON.parse(new TextDecoder().decode(map)) as unknown } : {}),
    },
    warnings,
  };
}

/** What cannot be read is left out and named: browsers do the same (CSS Syntax §2.2). */
function run(
  { utf8 }: ViewInput,
  options: Partial<TransformOptions<never>>,
): Omit<TransformResult, 'warnings'> & { warnings: Warning[] } {
  assertShallow(utf8, CSS_BRACKETS);
  let done: TransformResult;
  try {
    done = transform({ filename: FILENAME, code: utf8, errorRecovery: true, ...options });
  } catch (error) {
    throw syntaxError(error);
  }
  return { ...done, warnings: toWarnings(done.warnings) };
}

export function toWarnings(warnings: TransformResult['warnings']): Warning[] {
  return warnings.map(({ message, loc }) => ({ code: 'syntax', message, line: loc.line, column: loc.column }));
}

export function syntaxError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { loc } = error as { loc?: { line?: unknown; column?: unknown } };
  const place = typeof loc?.line === 'number' ? ` at line ${loc.line}, column ${loc.column}` : '';
  return parseProblems.create('syntax', { detail: `The stylesheet cannot be read${place}.`, cause: error });
}

/** Browsers by a query (https://github.com/browserslist/browserslist#queries). @throws `parse/syntax` */
export function targetsOf(query: string | undefined): { readonly targets?: Targets } {
  if (query === undefined) return {};
  // These would read files or packages of the machine.
  if (/\b(extends|config|stats|supports|node|maintained)\b/i.test(query)) throw unknownBrowsers();
  try {
    return {
      targets: browserslistToTargets(browserslist(query, { path: '/', env: 'production', config: undefined } as never)),
    };
  } catch (error) {
    throw unknownBrowsers(error);
  }
}

function unknownBrowsers(cause?: unknown) {
  return parseProblems.create('syntax', { detail: 'targets is not a browserslist query of browsers.', cause });
}
