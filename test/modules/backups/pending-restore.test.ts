import { Database as Sqlite } from 'bun:sqlite';
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { claimFile } from '../../../src/db/exclusive-use.ts';
import { moveFile } from '../../../src/modules/backups/durable-files.ts';
import {
  applyPendingRestore,
  isRestorePending,
  readPendingRestore,
  sidePath,
  withdrawPendingRestore,
  writePendingRestore,
} from '../../../src/modules/backups/pending-restore.ts';

setDefaultTimeout(60_000);

const SWAP = join(import.meta.dirname, '../../support/swap-process.ts');
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bunkhouse-swap-'));
  folders.push(path);
  return path;
}

/** A database file with one word in it; `isOpen` leaves log and index beside it, as a killed server does. */
async function database(path: string, word: string, isKilled = false): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const write = `
    const { Database } = require('bun:sqlite');
    const file = new Database(${JSON.stringify(path)}, { create: true, readwrite: true });
    file.run('PRAGMA journal_mode = WAL');
    file.run('CREATE TABLE words (word)');
    file.run('INSERT INTO words VALUES (?)', [${JSON.stringify(word)}]);
    ${isKilled ? "process.kill(process.pid, 'SIGKILL')" : 'file.close()'}`;
  await Bun.spawn([process.execPath, '-e', write]).exited;
}

function wordIn(path: string): string {
  const file = new Sqlite(path, { readwrite: true });
  try {
    return (file.query('SELECT word FROM words').get() as { word: string }).word;
  } finally {
    file.close();
  }
}

const pieces = [
  { kind: 'database', path: 'main.db' },
  { kind: 'database', path: 'shop.db' },
  { kind: 'secret', path: 'secret' },
] as const;

/** A data folder of a server that was killed, with a restore pending: of two databases and the secret. */
async function pendingFolder(): Promise<string> {
  const dataDir = await folder();
  await database(join(dataDir, 'main.db'), 'old', true);
  await database(join(dataDir, 'shop.db'), 'old');
  await writeFile(join(dataDir, 'secret'), 'old');
  await prepare(dataDir, 'r1', 'new');
  return dataDir;
}

async function prepare(dataDir: string, id: string, word: string): Promise<void> {
  await database(sidePath(join(dataDir, 'main.db'), id), word);
  await database(sidePath(join(dataDir, 'shop.db'), id), word);
  await writeFile(sidePath(join(dataDir, 'secret'), id), word);
  writePendingRestore(dataDir, { id, snapshot: 'b1', pieces }, new Date());
}

async function stateOf(dataDir: string): Promise<string[]> {
  return [
    wordIn(join(dataDir, 'main.db')),
    wordIn(join(dataDir, 'shop.db')),
    await readFile(join(dataDir, 'secret'), 'utf8'),
  ];
}

const apply = (dataDir: string) => applyPendingRestore({ dataDir, claim: claimFile, patienceMs: 0 });

async function runSwap(dataDir: string, deathAt?: number): Promise<string[]> {
  const child = Bun.spawn([process.execPath, SWAP, dataDir, ...(deathAt === undefined ? [] : [String(deathAt)])], {
    stderr: 'inherit',
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  if (deathAt !== undefined) expect(child.signalCode).toBe('SIGKILL');
  return text.split('\n').filter(Boolean);
}

test('a pending restore is put in place, the old files are kept whole, and nothing else is left', async () => {
  const dataDir = await pendingFolder();
  expect(isRestorePending(dataDir)).toBe(true);
  const outcome = await apply(dataDir);
  expect(outcome.status).toBe('swapped');
  expect(await stateOf(dataDir)).toEqual(['new', 'new', 'new']);
  const [kept] = outcome.status === 'swapped' ? outcome.keptIn : [];
  expect(await stateOf(kept as string)).toEqual(['old', 'old', 'old']);
  expect(isRestorePending(dataDir)).toBe(false);
  const names = (await readdir(dataDir)).filter((name) => !/-(wal|shm)$/.test(name)).sort();
  expect(names).toEqual(['main.db', expect.stringMatching(/^pre-restore-/), 'secret', 'shop.db']);
  expect((await stat(kept as string)).mode & 0o777).toBe(0o700);
  expect(await apply(dataDir)).toEqual({ status: 'none' });
});

test('killed before any step, the next start completes the swap and loses nothing of the old state', async () => {
  const model = await pendingFolder();
  const trial = await folder();
  await cp(model, trial, { recursive: true });
  const steps = await runSwap(trial);
  expect(steps.length).toBeGreaterThan(8);
  expect(steps.at(-1)).toBe('done');
  for (const step of steps.keys()) {
    const dataDir = await folder();
    await cp(model, dataDir, { recursive: true });
    expect(await runSwap(dataDir, step)).toEqual(steps.slice(0, step));
    // Killed once more at the same distance from its new beginning, as a machine that keeps dying would be.
    const rest = steps.length - step;
    if (rest > 2 && isRestorePending(dataDir)) await runSwap(dataDir, 1);
    await runSwap(dataDir);
    expect([steps[step], ...(await stateOf(dataDir))]).toEqual([steps[step], 'new', 'new', 'new']);
    const kept = (await readdir(dataDir)).filter((name) => name.startsWith('pre-restore-'));
    expect([steps[step], ...(await stateOf(join(dataDir, kept[0] as string)))]).toEqual([
      steps[step],
      'old',
      'old',
      'old',
    ]);
    expect(kept.length).toBe(1);
    expect((await readdir(dataDir)).filter((name) => /^restore[.-]/.test(name))).toEqual([]);
  }
});

test('until the old files are away a killed swap can be given up, and the old state is there again', async () => {
  const model = await pendingFolder();
  const trial = await folder();
  await cp(model, trial, { recursive: true });
  const steps = await runSwap(trial);
  const noted = steps.indexOf('note that the old files are away');
  expect(noted).toBeGreaterThan(2);
  for (let step = 0; step <= noted; step++) {
    const dataDir = await folder();
    await cp(model, dataDir, { recursive: true });
    await runSwap(dataDir, step);
    expect(withdrawPendingRestore(dataDir)).toBe(true);
    expect(await stateOf(dataDir)).toEqual(['old', 'old', 'old']);
    expect(withdrawPendingRestore(dataDir)).toBe(false);
    expect(existsSync(dirname(sidePath(join(dataDir, 'main.db'), 'r1')))).toBe(false);
  }
});

test('when noting that the old files are away fails half-way, they come back and the next start swaps', async () => {
  const dataDir = await pendingFolder();
  const onStep = (step: string) => {
    if (step === 'make that note durable') throw new Error('input/output error');
  };
  const failure = await applyPendingRestore({ dataDir, claim: claimFile, patienceMs: 0, onStep }).catch(String);
  expect(failure).toContain('input/output error');
  expect(readPendingRestore(dataDir)?.phase).toBe('keep');
  expect(await stateOf(dataDir)).toEqual(['old', 'old', 'old']);
  const outcome = await apply(dataDir);
  expect(await stateOf(dataDir)).toEqual(['new', 'new', 'new']);
  const [kept] = outcome.status === 'swapped' ? outcome.keptIn : [];
  expect(await stateOf(kept as string)).toEqual(['old', 'old', 'old']);
});

test('it waits while another process has a database open, even an idle one', async () => {
  const dataDir = await pendingFolder();
  const code = `
    const { Database } = require('bun:sqlite');
    globalThis.file = new Database(${JSON.stringify(join(dataDir, 'shop.db'))}, { readwrite: true });
    file.query('SELECT 1 FROM words').all();
    process.stdout.write('open');
    process.stdin.on('end', () => process.exit());
    process.stdin.resume();`;
  const holder = Bun.spawn([process.execPath, '-e', code], { stdin: 'pipe', stdout: 'pipe' });
  await holder.stdout.getReader().read();
  expect(await apply(dataDir)).toEqual({ status: 'in-use', snapshot: 'b1' });
  expect(await stateOf(dataDir)).toEqual(['old', 'old', 'old']);
  expect(isRestorePending(dataDir)).toBe(true);
  const waiting = applyPendingRestore({ dataDir, claim: claimFile, patienceMs: 20_000 });
  await holder.stdin.end();
  expect((await waiting).status).toBe('swapped');
  expect(await stateOf(dataDir)).toEqual(['new', 'new', 'new']);
});

test('of two processes that start at once one swaps, and both see the new state', async () => {
  const dataDir = await pendingFolder();
  const outcomes = await Promise.all(
    Array.from({ length: 3 }, () => applyPendingRestore({ dataDir, claim: claimFile, patienceMs: 10_000 })),
  );
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['none', 'none', 'swapped']);
  expect(await stateOf(dataDir)).toEqual(['new', 'new', 'new']);
});

describe('a side path that is not whole', () => {
  test.each(['missing', 'shorter'])('because a file is %s leaves the old state and is noted', async (fault) => {
    const dataDir = await pendingFolder();
    const side = sidePath(join(dataDir, 'shop.db'), 'r1');
    if (fault === 'missing') await rm(side);
    else await writeFile(side, 'short');
    expect(await apply(dataDir)).toEqual({ status: 'void', snapshot: 'b1' });
    expect(await stateOf(dataDir)).toEqual(['old', 'old', 'old']);
    expect(await apply(dataDir)).toEqual({ status: 'none' });
  });
});

test('a second restore takes the place of one that waits', async () => {
  const dataDir = await pendingFolder();
  await prepare(dataDir, 'r2', 'newer');
  expect(readPendingRestore(dataDir)?.id).toBe('r2');
  expect(existsSync(dirname(sidePath(join(dataDir, 'main.db'), 'r1')))).toBe(false);
  await apply(dataDir);
  expect(await stateOf(dataDir)).toEqual(['newer', 'newer', 'newer']);
  await prepare(dataDir, 'r3', 'newest');
  await apply(dataDir);
  expect(await stateOf(dataDir)).toEqual(['newest', 'newest', 'newest']);
  const kept = (await readdir(dataDir)).filter((name) => name.startsWith('pre-restore-'));
  expect(kept.length).toBe(2);
});

test('databases that live elsewhere are swapped where they are', async () => {
  const dataDir = await folder();
  const elsewhere = join(await folder(), 'shop.db');
  await database(elsewhere, 'old');
  await database(sidePath(elsewhere, 'r1'), 'new');
  writePendingRestore(
    dataDir,
    { id: 'r1', snapshot: 'b1', pieces: [{ kind: 'database', path: elsewhere }] },
    new Date(),
  );
  const outcome = await apply(dataDir);
  expect(wordIn(elsewhere)).toBe('new');
  const [kept] = outcome.status === 'swapped' ? outcome.keptIn : [];
  expect(dirname(kept as string)).toBe(dirname(elsewhere));
  expect(wordIn(join(kept as string, 'shop.db'))).toBe('old');
});

test('a note that is not readable stops the start and says which file', async () => {
  const dataDir = await folder();
  await writeFile(join(dataDir, 'restore.pending.json'), '{"format":');
  expect(await apply(dataDir).catch((error: Error) => error.message)).toContain('restore.pending.json');
});

test('across file systems a file is copied, and has its name only when it is whole', async () => {
  const from = join(await folder(), 'from');
  const to = join(await folder(), 'to');
  await writeFile(from, 'content');
  const refuse = () => {
    throw Object.assign(new Error('cross-device link'), { code: 'EXDEV' });
  };
  moveFile(from, to, refuse);
  expect(await readFile(to, 'utf8')).toBe('content');
  expect(existsSync(from)).toBe(false);
  expect(await readdir(dirname(to))).toEqual(['to']);
});
