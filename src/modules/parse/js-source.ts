import { type ParseResult, parseSync } from 'oxc-parser';
import { assertShallow, JS_BRACKETS } from './bracket-depth.ts';
import type { Warning } from './job.ts';
import { parseProblems } from './problems.ts';
import type { ViewInput } from './view.ts';

export type Syntax = 'js' | 'jsx' | 'ts' | 'tsx';

/** Most errors that are listed. */
const MAX_ERRORS = 200;

/** What the three packages of oxc say of an error. */
export interface OxcError {
  readonly severity: string;
  readonly message: string;
  readonly labels: readonly { readonly message: string | null; readonly start: number; readonly end: number }[];
  readonly helpMessage: string | null;
  readonly codeframe: string | null;
}

type Script = Pick<ViewInput, 'text' | 'utf8' | 'options'>;

/** Where something stands in a text. */
export interface Lines {
  at(offset: number): { readonly line: number; readonly column: number };
}

/** A source, parsed with recovery. Offsets count UTF-16 units. @throws `parse/too-deep` */
export function parseScript({ text, utf8, options }: Script, semantic = false): ParseResult {
  assertShallow(utf8, JS_BRACKETS);
  const lang = options.syntax as Syntax;
  return parseSync(`source.${lang}`, text, { lang, sourceType: 'unambiguous', showSemanticErrors: semantic });
}

/** The parsed source of a view that needs a valid one. @throws `parse/syntax`, `parse/too-deep` */
export function parseValid(input: Script): ParseResult {
  const parsed = parseScript(input);
  assertValid(parsed.errors, input.text);
  return parsed;
}

/** @throws `parse/syntax`, naming the first place. */
export function assertValid(errors: readonly OxcError[], text: string): void {
  const [first] = toWarnings(errors, text);
  if (!first) return;
  const place = first.line === undefined ? '' : ` at line ${first.line}, column ${first.column}`;
  throw parseProblems.create('syntax', { detail: `The source is not valid${place}.` });
}

/** Errors of the parser, in the words of the parser. */
export function toWarnings(errors: readonly OxcError[], text: string): Warning[] {
  const lines = linesOf(text);
  return errors.slice(0, MAX_ERRORS).map(({ message, labels, helpMessage, severity }) => {
    const [label] = labels;
    return {
      code: severity.toLowerCase(),
      message: [message, label?.message, helpMessage].filter(Boolean).join('. '),
      ...(label ? { ...lines.at(label.start), length: label.end - label.start } : {}),
    };
  });
}

export function linesOf(text: string): Lines {
  let starts: number[] | null = null;
  return {
    at(offset) {
      starts ??= lineStarts(text);
      let low = 0;
      let high = starts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((starts[middle] as number) <= offset) low = middle;
        else high = middle - 1;
      }
      return { line: low + 1, column: offset - (starts[low] as number) + 1 };
    },
  };
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
