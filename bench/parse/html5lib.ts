import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildTree, readTreeCases } from '../../test/support/html5lib.ts';

/**
 * Scores the documents of the parse server by html5lib's tree-construction tests: `bun bench/parse/html5lib.ts FOLDER`, where FOLDER
 * is a checkout of html5lib-tests at a commit that still has `tree-construction` (9329e64, say). A case counts when every node,
 * name, attribute and text is where the test has it.
 */
const GOAL = 0.95;
const folder = Bun.argv[2];
if (folder === undefined) {
  console.error('say: bun bench/parse/html5lib.ts FOLDER');
  process.exit(2);
}
const directory = join(folder, 'tree-construction');
const failed = new Map<string, number>();
let passed = 0;
let total = 0;
for (const file of readdirSync(directory).filter((name) => name.endsWith('.dat'))) {
  for (const each of readTreeCases(readFileSync(join(directory, file), 'utf8'))) {
    total++;
    if (isRight(each)) passed++;
    else failed.set(file, (failed.get(file) ?? 0) + 1);
  }
}
for (const [file, count] of failed) console.log(`${file}: ${count} failed`);
console.log(`${passed} of ${total} strict: ${((100 * passed) / total).toFixed(2)} %`);
process.exit(passed / total >= GOAL ? 0 : 1);

function isRight(each: Parameters<typeof buildTree>[0]): boolean {
  try {
    return buildTree(each) === each.tree;
  } catch {
    return false;
  }
}
