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

/** @throws `parse/too-deep`, naming the place. */
export function assertShallow(text: string, syntax: BracketSyntax): void {
  const { maxDepth, quotes, hasLineComments, hasRegExps } = syntax;
  const quoteUnits = new Set([...quotes].map((quote) => quote.charCodeAt(0)));
  /** Templates that are open, by the depth of their `${`. */
  const templates: number[] = [];
  let depth = 0;
  let last = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit <= SPACE) continue;
    if (unit === SLASH) {
      const next = text.charCodeAt(at + 1);
      if (next === STAR) {
        at = endOf(text, text.indexOf('*/', at + 2), 1);
        continue;
      }
      if (next === SLASH && hasLineComments) {
        at = endOf(text, text.indexOf('\n', at + 2), 0);
        continue;
      }
      if (hasRegExps && mayBeginRegExp(last)) at = endOfRegExp(text, at);
    } else if (unit === BACKSLASH) {
      at++;
    } else if (unit === OPEN_PAREN || unit === OPEN_SQUARE || unit === OPEN_CURLY) {
      if (++depth > maxDepth) throw tooDeep(text, at, maxDepth);
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
      at = unit === BACKTICK ? endOfTemplate(at + 1) : endOfText(text, at, unit);
    }
    last = unit;
  }

  /** Where a template's text ends: at its quote, or at an expression inside. */
  function endOfTemplate(from: number): number {
    for (let at = from; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === BACKSLASH) at++;
      else if (unit === BACKTICK) return at;
      else if (unit === DOLLAR && text.charCodeAt(at + 1) === OPEN_CURLY) {
        if (++depth > maxDepth) throw tooDeep(text, at, maxDepth);
        templates.push(depth);
        return at + 1;
      }
    }
    return text.length;
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

function endOf(text: string, found: number, extra: number): number {
  return found === -1 ? text.length : found + extra;
}

/** An unfinished text ends with its line, in CSS and in JavaScript alike. */
function endOfText(text: string, from: number, quote: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === BACKSLASH) at++;
    else if (unit === quote || unit === NEWLINE) return at;
  }
  return text.length;
}

/** After a value a slash divides; a word may be `return`, so it counts as no value only when it is punctuation before. */
function mayBeginRegExp(last: number): boolean {
  return last === 0 || '([{,;=:?!&|+-*%^~<>'.includes(String.fromCharCode(last));
}

function endOfRegExp(text: string, from: number): number {
  let isInClass = false;
  for (let at = from + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === NEWLINE) return from;
    if (unit === BACKSLASH) at++;
    else if (unit === OPEN_SQUARE) isInClass = true;
    else if (unit === CLOSE_SQUARE) isInClass = false;
    else if (unit === SLASH && !isInClass) return at;
  }
  return from;
}

function tooDeep(text: string, at: number, maxDepth: number) {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  return parseProblems.create('too-deep', {
    detail: `Brackets nest deeper than ${maxDepth} levels at line ${line}, column ${column}.`,
  });
}
