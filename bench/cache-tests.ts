import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bunkhouse } from './harness/bunkhouse.ts';
import { startServer } from './harness/server.ts';
import { needTools, run } from './harness/tools.ts';

/**
 * Runs the public conformance suite for HTTP caches (github.com/http-tests/cache-tests) against us as its reverse proxy:
 *
 *     git clone https://github.com/http-tests/cache-tests && (cd cache-tests && npm install undici@7 --no-save)
 *     bun bench/cache-tests.ts cache-tests [TEST-ID]
 *
 * Prints what failed and the score; for a single test, what the suite says of it. The suite is not part of this repository.
 */
const REQUIRED_AT_LEAST = 140;
const OPTIMAL_AT_LEAST = 75;
const RUN_MS = 5 * 60_000;

interface SuiteTest {
  readonly id: string;
  readonly kind?: 'required' | 'optimal' | 'check';
  readonly browser_only?: boolean;
  readonly depends_on?: readonly string[];
}
type Results = Readonly<Record<string, true | readonly [kind: string, message: string]>>;

const [folder, only = ''] = process.argv.slice(2);
if (folder === undefined || !existsSync(join(folder, 'test-engine/cli.mjs'))) {
  console.error('usage: bun bench/cache-tests.ts FOLDER [TEST-ID]   (FOLDER: a checkout of http-tests/cache-tests)');
  process.exit(2);
}
await needTools({ node: 'nodejs' });
const suite = resolve(folder);
const workDir = mkdtempSync(join(tmpdir(), 'bunkhouse-cache-tests-'));
const origin = await startServer(
  {
    name: 'suite-origin',
    command: ['sh', '-c', `cd '${suite}' && npm_config_port=$PORT exec node test-engine/server/server.mjs`],
    env: { npm_config_protocol: 'http', npm_config_pidfile: join(workDir, 'pid') },
    readyPath: '/',
    isPinned: false,
  },
  workDir,
);
const proxy = bunkhouse(join(workDir, 'data'), { PROXY_ROUTES: `/=${origin.origin}` });
const ours = await startServer({ ...proxy, isPinned: false }, workDir);
try {
  const settings = `npm_config_base='${ours.origin}' npm_config_id='${only}' npm_package_config_id='${only}'`;
  const out = await run(['sh', '-c', `cd '${suite}' && ${settings} node --no-warnings test-engine/cli.mjs`], RUN_MS);
  if (only === '') await judge(out);
  else console.log(out);
} finally {
  await Promise.allSettled([ours.stop(), origin.stop()]);
  rmSync(workDir, { recursive: true, force: true });
}

/** Prints what failed and the score of a whole run. */
async function judge(out: string): Promise<void> {
  const results = JSON.parse(out.slice(out.indexOf('{'))) as Results;
  const { default: groups } = (await import(pathToFileURL(join(suite, 'tests/index.mjs')).href)) as {
    default: readonly { readonly tests: readonly SuiteTest[] }[];
  };
  const tests = groups.flatMap((group) => group.tests).filter((test) => !test.browser_only && test.id in results);
  // A test counts when what it builds upon passes, too.
  const hasPassed = ({ id, depends_on = [] }: SuiteTest) => [id, ...depends_on].every((each) => results[each] === true);
  const score = (kind: SuiteTest['kind']) => {
    const ofKind = tests.filter((test) => (test.kind ?? 'required') === kind);
    for (const test of ofKind) {
      if (kind !== 'check' && !hasPassed(test)) console.log(`${kind} ${test.id}: ${JSON.stringify(results[test.id])}`);
    }
    return { passed: ofKind.filter(hasPassed).length, of: ofKind.length };
  };
  const [required, optimal, check] = [score('required'), score('optimal'), score('check')];
  console.log(
    `required ${required.passed} of ${required.of}, optimal ${optimal.passed} of ${optimal.of}, behaviours ${check.passed} of ${check.of}`,
  );
  if (required.passed < REQUIRED_AT_LEAST || optimal.passed < OPTIMAL_AT_LEAST) process.exitCode = 1;
}
