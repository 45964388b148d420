import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from '../docs/generate.ts';
import { SETTINGS } from '../src/config/schema.ts';
import type { Setting } from '../src/config/values.ts';
import { problemTables } from '../src/problem-tables.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

describe('documentation that comes from the code', () => {
  const generated = generatedFiles();
  test.each(Object.keys(generated))('%s is what "bun run docs" writes', (file) => {
    expect(read(file) === generated[file], `${file} is out of date: run "bun run docs"`).toBe(true);
  });
});

describe('the settings', () => {
  const settings = Object.values(SETTINGS) as Setting[];
  const present = settings.filter(({ isPlanned }) => !isPlanned).flatMap(({ env }) => env);

  test('of .env.example are those of the schema, in both directions, all commented out', () => {
    const lines = read('.env.example').split('\n');
    const named = lines.flatMap((line) => /^#([A-Z][A-Z0-9_]*)=/.exec(line)?.[1] ?? []);
    expect(named.sort()).toEqual(settings.map(({ env }) => env[0]).sort());
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  });

  test('of the README are those of the schema that have an effect, in both directions', () => {
    const rows = read('README.md')
      .split('\n')
      .filter((line) => /^\| `[A-Z]/.test(line));
    const named = rows.flatMap((row) =>
      [...(row.split('|')[1] ?? '').matchAll(/`([A-Z][A-Z0-9_]*)`/g)].map(([, name]) => name as string),
    );
    expect(named.sort()).toEqual([...present].sort());
  });
});

describe('the problems', () => {
  const codes = problemTables.flatMap(({ area, rows }) => Object.keys(rows).map((name) => `${area}/${name}`));

  test('of docs/problems.md are those of the tables, in both directions', () => {
    const named = [...read('docs/problems.md').matchAll(/^\| `([a-z-]+\/[a-z0-9-]+)` \|/gm)].map(
      ([, code]) => code as string,
    );
    expect(named.sort()).toEqual([...codes].sort());
  });

  test('that the code creates are in a table', async () => {
    const glob = new Bun.Glob('**/*.ts');
    const made = new Set<string>();
    for await (const file of glob.scan(join(ROOT, 'src'))) {
      for (const [, code] of read(join('src', file)).matchAll(
        /[`'"]((?:auth|uploads|sockets|request|server|database|storage)\/[a-z-]+)[`'"]/g,
      )) {
        made.add(code as string);
      }
    }
    const events = ['auth/token-reused', 'auth/sessions-revoked', 'uploads/completed'];
    expect([...made].filter((code) => !codes.includes(code) && !events.includes(code))).toEqual([]);
  });
});
