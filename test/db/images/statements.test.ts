import { describe, expect, test } from 'bun:test';
import { statementsOf } from '../../../src/db/sql-statements.ts';

/** The text cut into pieces of so many characters, as a network would. */
async function* pieces(text: string, length: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += length) yield text.slice(at, at + length);
}

const CASES: readonly [what: string, text: string, statements: readonly string[]][] = [
  ['one after the other', 'BEGIN;\nCOMMIT;\n', ['BEGIN', 'COMMIT']],
  ['no empty ones', ';; ;\nBEGIN;;', ['BEGIN']],
  ['what has no end', 'BEGIN; SELECT 1', ['BEGIN', 'SELECT 1']],
  [
    'semicolons in texts and names',
    `INSERT INTO "a;b" VALUES('x;''y;'); SELECT [;], \`;\`;`,
    [`INSERT INTO "a;b" VALUES('x;''y;')`, 'SELECT [;], `;`'],
  ],
  ['comments', 'SELECT 1 -- a; b\n; /* c; d */ SELECT 2;', ['SELECT 1 -- a; b', '/* c; d */ SELECT 2']],
  [
    'signs that only look like comments',
    "SELECT 3 - 2, 4 / 2, '--', '/*';SELECT 1;",
    ["SELECT 3 - 2, 4 / 2, '--', '/*'", 'SELECT 1'],
  ],
  [
    'triggers with all of their body',
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END; SELECT 'x; END;'; END; COMMIT;",
    [
      "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END; SELECT 'x; END;'; END",
      'COMMIT',
    ],
  ],
  [
    'triggers with a comment before their end',
    'CREATE TEMP TRIGGER t BEGIN SELECT 1; -- not yet; END;\n/* nor here; */ END; COMMIT;',
    ['CREATE TEMP TRIGGER t BEGIN SELECT 1; -- not yet; END;\n/* nor here; */ END', 'COMMIT'],
  ],
];

describe('SQL text is cut into', () => {
  for (const [what, text, statements] of CASES) {
    test(what, async () => {
      for (const length of [1, 2, 3, 7, 1_000]) {
        expect(await Array.fromAsync(statementsOf(pieces(text, length)))).toEqual([...statements]);
      }
    });
  }
});
