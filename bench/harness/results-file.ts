import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const PREFACE = `# Benchmark results

Written by \`bun run bench <area>\`, one section an area; do not edit by hand. How to read and repeat them: docs/benchmarks.md.
`;

/** Writes the section of one area and leaves those of the others as they are. */
export function writeSection(file: string, area: string, markdown: string): void {
  const begin = `<!-- begin ${area} -->`;
  const end = `<!-- end ${area} -->`;
  const section = `${begin}\n${markdown.trim()}\n${end}`;
  const before = existsSync(file) ? readFileSync(file, 'utf8') : PREFACE;
  const from = before.indexOf(begin);
  const to = before.indexOf(end);
  const after =
    from === -1 || to === -1
      ? `${before.trimEnd()}\n\n${section}\n`
      : before.slice(0, from) + section + before.slice(to + end.length);
  writeFileSync(file, after);
}
