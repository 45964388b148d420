import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childrenOf, peakResidentBytes, resetPeak } from '../../bench/harness/proc.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createScriptFolder } from '../../test/support/php-fpm.ts';
import { startServer, type TestServer } from '../../test/support/server.ts';
import type { Soak, SoakRun } from '../soak.ts';
import { BLOCK_BYTES, createBlockChecker, SCRIPTS } from './scripts.ts';

const MiB = 2 ** 20;
const CHILDREN = 4;
/** What the server may grow by, whatever the size of what passes through it. */
const MAX_GROWTH_BYTES = 128 * MiB;
/** How long visitors may have to wait for a php-fpm that was killed. */
const RECOVERY_MS = 20_000;

/** Bodies larger than memory through scripts, both ways, while php-fpm and its children are killed. */
export const php: Soak = {
  name: 'php',
  summary: 'so much out of a script and into one, while php-fpm and its children are killed',
  seconds: 900,
  size: 2048,
  unit: 'MiB',
  async run(run) {
    const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
    await using site = await createScriptFolder(SCRIPTS);
    await using server = await startServer({
      env: {
        PHP_ROOT: site.path,
        PHP_CHILDREN: String(CHILDREN),
        UPLOAD_MAX_SIZE: `${2 * run.size + 64}MiB`,
        LOG_LEVEL: 'warn',
        RATE_LIMIT: 'off',
      },
    });
    try {
      return await disturb(run, server, join(folder, 'content'));
    } finally {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function disturb(run: SoakRun, server: TestServer, path: string) {
  const { size, log, fail } = run;
  const signal = AbortSignal.any([run.signal, AbortSignal.timeout(run.seconds * 1000)]);
  const bytes = size * MiB;
  const digest = await fill(path, bytes);
  const figures = {
    visits: 0,
    refused: 0,
    childrenKilled: 0,
    mastersKilled: 0,
    growthMiB: 0,
    outSeconds: 0,
    inSeconds: 0,
  };
  const url = (script: string) => `${server.url}/php/${script}`;
  const visit = async () => {
    const response = await fetch(url('hello.php'), { signal });
    return { status: response.status, text: await response.text() };
  };
  await eventually(async () => (await visit()).status === 200, RECOVERY_MS);
  const master = () => childrenOf(server.pid).find(isPhpFpm);

  /** Kills a child that runs none of `busy`. */
  const killChild = (busy: string | null): void => {
    const others = childrenOf(master() ?? 0).filter((pid) => String(pid) !== busy);
    const victim = others[figures.childrenKilled % others.length];
    if (victim === undefined) return;
    figures.childrenKilled++;
    log('killing a child', { victim, busy });
    process.kill(victim, 'SIGKILL');
  };

  /** While it is so, visitors may be refused. */
  let isMasterGone = false;
  let isOver = false;
  const visiting = (async () => {
    while (!isOver && !signal.aborted) {
      const { status, text } = await visit();
      figures.visits++;
      if (status === 200 && text === 'hello') await Bun.sleep(20);
      else if (isMasterGone && [502, 503].includes(status)) figures.refused++;
      else fail('visitors are answered', { status, text });
    }
  })();

  /** Reads what a script writes, and does something at each quarter. @returns how much came, and whether it broke off. */
  const download = async (blocks: number, onQuarter: (quarter: number, pid: string | null) => void) => {
    const response = await fetch(url(`out.php?blocks=${blocks}`), { signal });
    const pid = response.headers.get('x-pid');
    const checker = createBlockChecker();
    let quarter = 1;
    try {
      for await (const chunk of response.body ?? []) {
        if (!checker.take(chunk)) {
          fail('what a script writes comes as it was written', { after: checker.size });
          return { size: checker.size, isBroken: true };
        }
        if (checker.size < (quarter * blocks * BLOCK_BYTES) / 4 || quarter > 3) continue;
        onQuarter(quarter++, pid);
      }
      return { size: checker.size, isBroken: false };
    } catch (error) {
      log('broke off', { after: checker.size, error: String(error) });
      return { size: checker.size, isBroken: true };
    }
  };

  resetPeak(server.pid);
  const before = peakResidentBytes(server.pid);
  const checkMemory = (after: string) => {
    const growth = Math.round((peakResidentBytes(server.pid) - before) / MiB);
    figures.growthMiB = Math.max(figures.growthMiB, growth);
    log('memory', { after, growthMiB: growth });
    if (growth * MiB > MAX_GROWTH_BYTES) fail('memory is bounded', { after, growthMiB: growth });
  };

  let startedAt = performance.now();
  const whole = await download(size, (_, pid) => killChild(pid));
  figures.outSeconds = secondsSince(startedAt);
  if (whole.isBroken || whole.size !== bytes) fail('an answer outlives the death of other children', whole);
  checkMemory('out');

  const cut = await download(size, (quarter, pid) => {
    if (quarter === 2 && pid !== null) process.kill(Number(pid), 'SIGKILL');
  });
  figures.childrenKilled++;
  if (!cut.isBroken) fail('the answer of a child that died is visibly cut', cut);

  startedAt = performance.now();
  const expected = `${bytes} ${digest}`;
  const raw = await fetch(url('in.php'), { method: 'PUT', body: Bun.file(path), signal });
  killChild(raw.headers.get('x-pid'));
  const said = await raw.text();
  if (said !== `reading ${expected}`) fail('a script reads what was sent', { status: raw.status, said });
  figures.inSeconds = secondsSince(startedAt);
  checkMemory('in');

  const form = await fetch(url('file.php'), { method: 'POST', ...multipartOf(path), signal });
  const got = await form.text();
  if (got !== expected) fail('a script gets the file that was uploaded', { status: form.status, said: got });
  checkMemory('a file in');

  isMasterGone = true;
  const old = master();
  const orphaned = await download(size, (quarter) => {
    if (quarter !== 1 || old === undefined) return;
    figures.mastersKilled++;
    log('killing php-fpm', { pid: old });
    process.kill(old, 'SIGKILL');
  });
  if (!orphaned.isBroken && orphaned.size !== bytes) fail('an answer is whole or visibly cut', orphaned);
  await eventually(async () => master() !== old && (await visit()).status === 200, RECOVERY_MS).catch(() =>
    fail('php-fpm is there again'),
  );
  isMasterGone = false;
  const after = await download(size, (_, pid) => killChild(pid));
  if (after.isBroken || after.size !== bytes) fail('the next php-fpm serves as the first one did', after);
  checkMemory('all');

  isOver = true;
  await visiting;
  return figures;
}

function isPhpFpm(pid: number): boolean {
  return childrenOf(pid).length > 0;
}

function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 100) / 10;
}

/** A form with the file in it, in chunks of unknown number: the server has to learn the length. */
function multipartOf(path: string) {
  const boundary = 'soak-soak-soak';
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="content"\r\ncontent-type: application/octet-stream\r\n\r\n`;
  const parts = (async function* () {
    yield Buffer.from(head);
    yield* Bun.file(path).stream();
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  })();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  return { headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body };
}

/** Fills a file with what nobody can guess. @returns its MD5. */
async function fill(path: string, size: number): Promise<string> {
  const hash = createHash('md5');
  const file = await open(path, 'wx');
  for (let written = 0; written < size; written += MiB) {
    const chunk = randomBytes(MiB);
    hash.update(chunk);
    await file.write(chunk);
  }
  await file.close();
  return hash.digest('hex');
}
