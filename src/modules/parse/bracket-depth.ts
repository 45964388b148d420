import { parseProblems } from './problems.ts';

/**
 * The first lock before a native parser: how deep brackets nest, in one pass. A parser that calls itself for each level ends its
 * process, not the job. A source that fools this scan meets the second lock: the child it runs in.
 */
export interface BracketSyntax {
  readonly maxDepth: number;
  /** What each byte may begin. */
  readonly kinds: Uint8Array;
  /** Comments to the end of the line. */
  readonly hasLineComments: boolean;
  /** Whether a slash may begin a regular expression. */
  readonly hasRegExps: boolean;
}

const SPACE = 0x20;
const SLASH = 0x2f;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
const DOLLAR = 0x24;
const NEWLINE = 0x0a;
const OPEN_CURLY = 0x7b;
const CLOSE_CURLY = 0x7d;
const OPEN_SQUARE = 0x5b;
const CLOSE_SQUARE = 0x5d;

/** Kinds of bytes; most are none of them. */
const OPENS = 1;
const CLOSES = 2;
const QUOTES = 3;
const SLASHES = 4;
const ESCAPES = 5;

/** lightningcss dies at a few thousand levels; some malformed chains of 64 already take it minutes. */
export const CSS_BRACKETS: BracketSyntax = {
  maxDepth: 64,
  kinds: kindsOf('"\''),
  hasLineComments: false,
  hasRegExps: false,
};
/** oxc dies between five and twenty thousand levels. */
export const JS_BRACKETS: BracketSyntax = {
  maxDepth: 256,
  kinds: kindsOf('"\'`'),
  hasLineComments: true,
  hasRegExps: true,
};

/** @param quotes what begins a text, and ends it. */
function kindsOf(quotes: string): Uint8Array {
  const kinds = new Uint8Array(256);
  const mark = (characters: string, kind: number) => {
    for (const character of characters) kinds[character.charCodeAt(0)] = kind;
  };
  mark('([{', OPENS);
  mark(')]}', CLOSES);
  mark(quotes, QUOTES);
  mark('/', SLASHES);
  mark('\\', ESCAPES);
  return kinds;
}

/**
 * @param source in UTF-8, whose every byte below 128 is a character: megabytes of them, so what happens for each is little.
 * @throws `parse/too-deep`, naming the place.
 */
export function assertShallow(
  source: Uint8Array,
  { maxDepth, kinds, hasLineComments, hasRegExps }: BracketSyntax,
): void {
  /** Templates that are open, by the depth of their `${`. */
  const templates: number[] = [];
  let depth = 0;
  /** What stands before `after` and is no white space, and no comment. */
  let last = 0;
  let after = 0;
  /** Up to here a regular expression was looked for that does not end. */
  let endless = 0;
  for (let at = 0; at < source.length; at++) {
    const unit = source[at] as number;
    const kind = kinds[unit];
    if (kind === 0) {
      at = beforeNextKind(source, at, kinds);
      continue;
    }
    let isTemplate = false;
    if (kind === SLASHES) {
      const next = source[at + 1];
      const isComment = next === STAR || (next === SLASH && hasLineComments);
      if (hasRegExps) last = lastBefore(source, at, after) ?? last;
      if (isComment) {
        at = next === STAR ? endOfComment(source, at + 2) : endOfLine(source, at + 2);
        after = at + 1;
        continue;
      }
      if (hasRegExps && mayBeginRegExp(last)) {
        const end = endOfRegExp(source, at, endless);
        if (source[end] === SLASH) at = end;
        else endless = end;
      }
    } else if (kind === ESCAPES) {
      at++;
    } else if (kind === OPENS) {
      if (++depth > maxDepth) throw tooDeep(source, at, maxDepth);
    } else if (kind === CLOSES) {
      isTemplate = unit === CLOSE_CURLY && templates.at(-1) === depth;
      if (isTemplate) templates.pop();
      if (depth > 0) depth--;
    } else if (kind === QUOTES) {
      isTemplate = unit === BACKTICK;
      if (!isTemplate) at = endOfText(source, at, unit);
    }
    if (isTemplate) {
      at = endOfTemplateText(source, at + 1);
      if (source[at] === OPEN_CURLY) {
        if (++depth > maxDepth) throw tooDeep(source, at - 1, maxDepth);
        templates.push(depth);
      }
    }
    if (hasRegExps) last = isTemplate ? BACKTICK : unit;
    after = at + 1;
  }
}

/** Passes bytes that are of no kind, four at a time. */
function beforeNextKind(source: Uint8Array, from: number, kinds: Uint8Array): number {
  const end = source.length - 4;
  let at = from;
  while (
    at < end &&
    ((kinds[source[at + 1] as number] as number) |
      (kinds[source[at + 2] as number] as number) |
      (kinds[source[at + 3] as number] as number) |
      (kinds[source[at + 4] as number] as number)) ===
      0
  ) {
    at += 4;
  }
  return at;
}

/** The last byte in a range that is no white space. */
function lastBefore(source: Uint8Array, end: number, from: number): number | null {
  for (let at = end - 1; at >= from; at--) {
    if ((source[at] as number) > SPACE) return source[at] as number;
  }
  return null;
}

/** Where the text of a template ends: at its quote, or at the bracket of an expression inside. */
function endOfTemplateText(source: Uint8Array, from: number): number {
  for (let at = from; at < source.length; at++) {
    const unit = source[at];
    if (unit === BACKSLASH) at++;
    else if (unit === BACKTICK) return at;
    else if (unit === DOLLAR && source[at + 1] === OPEN_CURLY) return at + 1;
  }
  return source.length;
}

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

/**
 * Where a regular expression ends: at its slash; else at the end of its line, and then it is none.
 * @param endless up to here one that began before does not end: from the next class on, neither does this one.
 */
function endOfRegExp(source: Uint8Array, from: number, endless: number): number {
  let isInClass = false;
  for (let at = from + 1; at < source.length; at++) {
    const unit = source[at] as number;
    if (unit === NEWLINE) return at;
    if (unit === BACKSLASH) at++;
    else if (unit === SLASH) {
      if (!isInClass) return at;
    } else if (unit === OPEN_SQUARE || unit === CLOSE_SQUARE) {
      if (at < endless) return endless;
      isInClass = unit === OPEN_SQUARE;
    }
  }
  return source.length;
}

function tooDeep(source: Uint8Array, at: number, maxDepth: number) {
  const before = new TextDecoder().decode(source.subarray(0, at));
  const line = before.split('\n').length;
  const column = before.length - before.lastIndexOf('\n');
  return parseProblems.create('too-deep', {
    detail: `Brackets nest deeper than ${maxDepth} levels at line ${line}, column ${column}.`,
  });
}
