/** What ends a statement, and what may hold a semicolon that does not. */
const MARKS = /;|'|"|`|\[|--|\/\*/g;
const CLOSING: Readonly<Record<string, string>> = { "'": "'", '"': '"', '`': '`', '[': ']', '--': '\n', '/*': '*/' };
const TRIGGER = /^\s*CREATE\s+(?:TEMP\s+|TEMPORARY\s+)?TRIGGER\b/i;
const COMMENTS = /--[^\n]*|\/\*[\s\S]*?\*\//g;
const BODY_END = /;\s*END\s*$/i;

/**
 * Cuts SQL text into its statements, semicolons left out (https://sqlite.org/c3ref/complete.html: that of a trigger ends after `END`).
 * No more than one statement is held at a time. Empty ones are left out; text after the last semicolon comes last.
 */
export async function* statementsOf(text: AsyncIterable<string>): AsyncGenerator<string> {
  let held = '';
  /** Up to where the text was looked at. */
  let seen = 0;
  /** Begin of the statement. */
  let start = 0;
  /** What must come before a semicolon counts again; null outside of quotes and comments. */
  let closing: string | null = null;
  for await (const chunk of text) {
    held = held.slice(start) + chunk;
    seen -= start;
    start = 0;
    for (;;) {
      if (closing !== null) {
        const end = held.indexOf(closing, seen);
        if (end === -1) {
          seen = Math.max(seen, held.length - closing.length + 1);
          break;
        }
        seen = end + closing.length;
        closing = null;
      }
      MARKS.lastIndex = seen;
      const mark = MARKS.exec(held)?.[0];
      if (mark === undefined) {
        // The last character may be the first half of a mark.
        seen = Math.max(seen, held.length - 1);
        break;
      }
      seen = MARKS.lastIndex;
      if (mark !== ';') {
        closing = CLOSING[mark] as string;
        continue;
      }
      const statement = held.slice(start, seen - 1);
      if (TRIGGER.test(statement) && !BODY_END.test(statement.replace(COMMENTS, ' '))) continue;
      if (statement.trim() !== '') yield statement.trim();
      start = seen;
    }
  }
  const rest = held.slice(start).trim();
  if (rest !== '') yield rest;
}
