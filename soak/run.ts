import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from './parse/index.ts';
import { php } from './php/index.ts';
import type { Soak } from './soak.ts';
import { sockets } from './sockets/index.ts';
import { uploads, uploadsToS3 } from './uploads/index.ts';

const SOAKS: readonly Soak[] = [sockets, uploads, uploadsToS3, parse, php];
const USAGE = `bun run soak <name> [--seconds N] [--size N] [--log FILE]

soaks:
${SOAKS.map(({ name, summary, seconds, size, unit }) => `  ${name}  ${summary} (${seconds} s, ${size} ${unit})`).join('\n')}`;

const { values, positionals } = parseArgs({
  args: Bun.argv.slice(2),
  allowPositionals: true,
  options: { seconds: { type: 'string' }, size: { type: 'string' }, log: { type: 'string' } },
});
const soak = SOAKS.find(({ name }) => name === positionals[0]);
if (!soak) {
  console.log(USAGE);
  process.exit(positionals.length === 0 ? 0 : 2);
}

const seconds = toCount(values.seconds ?? soak.seconds, 'seconds');
const size = toCount(values.size ?? soak.size, 'size');
const startedAt = performance.now();
const logFile = values.log ?? join(import.meta.dir, '.results', `${soak.name}-${new Date().toISOString()}.jsonl`);
mkdirSync(dirname(logFile), { recursive: true });
/** Broken promises are all counted; so many are written down. */
const MAX_FAILURES = 100;
let failures = 0;
const broken: Record<string, number> = {};

const log = (event: string, details: object = {}) => {
  const at = Math.round(performance.now() - startedAt) / 1000;
  const line = JSON.stringify({ at, event, ...details });
  appendFileSync(logFile, `${line}\n`);
  console.error(line);
};

/** What was started must end with the run, however that ends. */
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

log('start', { soak: soak.name, seconds, size });
try {
  const figures = await soak.run({
    seconds,
    size,
    signal: interrupted.signal,
    log,
    fail(promise, details) {
      failures++;
      broken[promise] = (broken[promise] ?? 0) + 1;
      if (failures <= MAX_FAILURES) log('BROKEN', { promise, ...details });
    },
  });
  log('end', { ...figures, broken: failures, promises: broken });
  const said = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  console.log(
    `soak ${soak.name}: ${failures === 0 ? 'kept' : 'BROKEN'}; ${seconds} s, ${size} ${soak.unit}, ${said.join(', ')}, broken ${failures}`,
  );
} catch (error) {
  log('ended early', { error: String(error) });
  console.error(error);
  failures++;
}
console.log(`log: ${logFile}`);
process.exit(failures === 0 ? 0 : 1);

function toCount(value: string | number, name: string): number {
  const count = Number(value);
  if (Number.isInteger(count) && count > 0) return count;
  console.error(`--${name} takes a number above 0`);
  process.exit(2);
}
