import { parseProblems } from './problems.ts';

/**
 * The first lock before a native parser: how deep brackets nest, in one pass. A parser that calls itself for each level ends its
 * process, not the job. A source that fools this scan meets the second lock: the child it runs in.
 */
export interface BracketSyntax {
  readonly maxDepth: number;
  /** What begins a text, and ends it. */
  readonly quotes: string;
  /** Comments to the end of the line. */
  readonly hasLineComments: boolean;
  /** Whether a slash may begin a regular expression. */
  readonly hasRegExps: boolean;
}

/** lightningcss dies at a few thousand levels; some malformed chains of 64 already take it minutes. */
export const CSS_BRACKETS: BracketSyntax = { maxDepth: 64, quotes: '"\'', hasLineComments: false, hasRegExps: false };
/** oxc dies between five and twenty thousand levels. */
export const JS_BRACKETS: BracketSyntax = { maxDepth: 256, quotes: '"\'`', hasLineComments: true, hasRegExps: true };

/** @param source in UTF-8, whose every byte below 128 is a character. @throws `parse/too-deep`, naming the place. */
export function assertShallow(source: Uint8Array, syntax: BracketSyntax): void {
  const { maxDepth, quotes, hasLineComments, hasRegExps } = syntax;
  const quoteUnits = new Set([...quotes].map((quote) => quote.charCodeAt(0)));
  /** Templates that are open, by the depth of their `${`. */
  const templates: number[] = [];
  let depth = 0;
  let last = 0;
  for (let at = 0; at < source.length; at++) {
    const unit = source[at] as number;
    if (unit <= SPACE) continue;
    if (unit === SLASH) {
      const next = source[at + 1] as number;
      if (next === STAR) {
        at = endOfComment(source, at + 2);
        continue;
      }
      if (next === SLASH && hasLineComments) {
        at = endOfLine(source, at + 2);
        continue;
      }
      if (hasRegExps && mayBeginRegExp(last)) at = endOfRegExp(source, at);
    } else if (unit === BACKSLASH) {
      at++;
    } else if (unit === OPEN_PAREN || unit === OPEN_SQUARE || unit === OPEN_CURLY) {
      if (++depth > maxDepth) throw tooDeep(source, at, maxDepth);
    } else if (unit === CLOSE_PAREN || unit === CLOSE_SQUARE || unit === CLOSE_CURLY) {
      if (unit === CLOSE_CURLY && templates.at(-1) === depth) {
        templates.pop();
        depth--;
        at = endOfTemplate(at + 1);
        last = BACKTICK;
        continue;
      }
      if (depth > 0) depth--;
    } else if (quoteUnits.has(unit)) {
      at = unit === BACKTICK ? endOfTemplate(at + 1) : endOfText(source, at, unit);
    }
    last = unit;
  }

  /** Where a template's text ends: at its quote, or at an expression inside. */
  function endOfTemplate(from: number): number {
    for (let at = from; at < source.length; at++) {
      const unit = source[at] as number;
      if (unit === BACKSLASH) at++;
      else if (unit === BACKTICK) return at;
      else if (unit === DOLLAR && (source[at + 1] as number) === OPEN_CURLY) {
        if (++depth > maxDepth) throw tooDeep(source, at, maxDepth);
        templates.push(depth);
        return at + 1;
      }
    }
    return source.length;
  }
}

const SPACE = 0x20;
const SLASH = 0x2f;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
const DOLLAR = 0x24;
const NEWLINE = 0x0a;
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;
const OPEN_SQUARE = 0x5b;
const CLOSE_SQUARE = 0x5d;
const OPEN_CURLY = 0x7b;
const CLOSE_CURLY = 0x7d;

function endOfComment(source: Uint8Array, from: number): number {
  for (let at = source.indexOf(STAR, from); at !== -1; at = source.indexOf(STAR, at + 1)) {
    if (source[at + 1] === SLASH) return at + 1;
  }
  return source.length;
}

function endOfLine(source: Uint8Array, from: number): number {
  const found = source.indexOf(NEWLINE, from);
  return found === -1 ? source.length : found;
}

/** An unfinished text ends with its line, in CSS and in JavaScript alike. */
function endOfText(source: Uint8Array, from: number, quote: number): number {
  for (let at = from + 1; at < source.length; at++) {
    const unit = source[at] as number;
    if (unit === BACKSLASH) at++;
    else if (unit === quote || unit === NEWLINE) return at;
  }
  return source.length;
}

/** After a value a slash divides; a word may be `return`, so it counts as no value only when it is punctuation before. */
function mayBeginRegExp(last: number): boolean {
  return last === 0 || '([{,;=:?!&|+-*%^~<>'.includes(String.fromCharCode(last));
}

function endOfRegExp(source: Uint8Array, from: number): number {
  let isInClass = false;
  for (let at = from + 1; at < source.length; at++) {
    const unit = source[at] as number;
    if (unit === NEWLINE) return from;
    if (unit === BACKSLASH) at++;
    else if (unit === OPEN_SQUARE) isInClass = true;
    else if (unit === CLOSE_SQUARE) isInClass = false;
    else if (unit === SLASH && !isInClass) return at;
  }
  return from;
}

function tooDeep(source: Uint8Array, at: number, maxDepth: number) {
  const before = new TextDecoder().decode(source.subarray(0, at));
  const line = before.split('\n').length;
  const column = before.length - before.lastIndexOf('\n');
  return parseProblems.create('too-deep', {
    detail: `Brackets nest deeper than ${maxDepth} levels at line ${line}, column ${column}.`,
  });
}
