import { afterEach, describe, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { bunChildPool, type ChildPoolOptions } from '../../src/drivers/bun-child-pool.ts';
import type { ChildOutcome, ChildPool } from '../../src/ports/child-pool.ts';
import { recordingLog } from '../support/fakes.ts';
import type { PoolJob } from '../support/pool-child.ts';

const ENTRY = join(import.meta.dirname, '../support/pool-child.ts');
const LONG = { deadlineMs: 20_000 };
const pools: ChildPool<PoolJob, unknown>[] = [];

function open(options: Partial<ChildPoolOptions> = {}) {
  const log = recordingLog();
  const pool = bunChildPool<PoolJob, unknown>({
    name: 'test',
    entry: ENTRY,
    size: 1,
    maxWaiting: 4,
    maxMemoryBytes: 512 * 1024 * 1024,
    log,
    ...options,
  });
  pools.push(pool);
  return { pool, log };
}

/** A rejection as a value: `expect(…).rejects` would keep the channel of a child from being read. */
const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as Error & { code?: string },
  );

const resultOf = (outcome: ChildOutcome<unknown>) => (outcome.status === 'done' ? outcome.result : outcome);

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()));
});

describe('a pool of children', () => {
  test('does a job and copies what goes in and out', async () => {
    const { pool } = open();
    const sent = { text: 'ä\0\ud800', bytes: new Uint8Array([1, 2, 3]), when: new Date(0), nested: [{ a: null }] };
    expect(resultOf(await pool.run({ echo: sent }, LONG))).toEqual(sent);
  });

  test('copies large bytes, wherever they go through', async () => {
    const bytes = new Uint8Array(9_000_000).map((_, index) => index * 7);
    for (const exchangeDirectory of [undefined, tmpdir(), join(import.meta.dirname, 'missing')]) {
      const { pool } = open(exchangeDirectory === undefined ? {} : { exchangeDirectory });
      for (let time = 0; time < 2; time++) {
        const sent = { back: bytes, part: bytes.subarray(1_000_000, 1_100_000), text: 'ä' };
        expect(Bun.deepEquals(resultOf(await pool.run(sent, LONG)), sent, true)).toBe(true);
      }
    }
  }, 30_000);

  test('lives on when a job is ended while its bytes are on their way', async () => {
    const { pool } = open();
    await pool.run({ echo: 0 }, LONG);
    const part = new Uint8Array(0);
    for (let time = 0; time < 6; time++) {
      const leaving = new AbortController();
      const sent = { back: new Uint8Array(20_000_000).fill(time), part, text: '' };
      const left = caught(pool.run(sent, { ...LONG, signal: leaving.signal }));
      for (let turn = 0; turn < 2 * time; turn++) await setImmediate();
      leaving.abort(new Error('left'));
      await left;
      expect(resultOf(await pool.run({ echo: time }, LONG))).toBe(time);
    }
  }, 30_000);

  test('keeps a child for the next job and does jobs of one child one after the other', async () => {
    const { pool } = open();
    const pids = await Promise.all(Array.from({ length: 4 }, () => pool.run({ pid: true }, LONG)));
    expect(new Set(pids.map(resultOf)).size).toBe(1);
    expect(pool.load).toEqual({ running: 0, waiting: 0 });
  });

  test('works on as many jobs at once as it has children', async () => {
    const { pool } = open({ size: 2 });
    const [one, two] = await Promise.all([pool.run({ pid: true }, LONG), pool.run({ pid: true }, LONG)]);
    expect(resultOf(one)).not.toBe(resultOf(two));
  });

  test('ends a job at its deadline, and the next one is done', async () => {
    const { pool, log } = open();
    await pool.run({ echo: 1 }, LONG);
    expect(await pool.run({ spin: true }, { deadlineMs: 50 })).toEqual({ status: 'late' });
    expect(resultOf(await pool.run({ echo: 2 }, LONG))).toBe(2);
    expect(log.lines.map(({ level }) => level)).toEqual(['warn']);
  });

  test('ends a job that eats memory', async () => {
    const { pool } = open({ maxMemoryBytes: 256 * 1024 * 1024 });
    expect(await pool.run({ eat: true }, LONG)).toEqual({ status: 'too-much-memory' });
    expect(resultOf(await pool.run({ echo: 1 }, LONG))).toBe(1);
  });

  test('survives the death of a child, and so do the jobs beside it and behind it', async () => {
    const { pool } = open({ size: 2 });
    const [crashed, neighbour, ...later] = await Promise.all([
      pool.run({ crash: true }, LONG),
      pool.run({ echo: 'neighbour' }, LONG),
      pool.run({ echo: 1 }, LONG),
      pool.run({ echo: 2 }, LONG),
    ]);
    expect(crashed).toEqual({ status: 'crashed' });
    expect(resultOf(neighbour)).toBe('neighbour');
    expect(later.map(resultOf)).toEqual([1, 2]);
  });

  test('passes on what a job throws, and the child lives', async () => {
    const { pool } = open();
    const before = resultOf(await pool.run({ pid: true }, LONG));
    expect((await caught(pool.run({ throws: 'no' }, LONG)))?.message).toBe('no');
    expect(resultOf(await pool.run({ pid: true }, LONG))).toBe(before);
  });

  test('refuses a job when too many wait', async () => {
    const { pool } = open({ maxWaiting: 1 });
    const first = pool.run({ echo: 1 }, LONG);
    const second = pool.run({ echo: 2 }, LONG);
    expect((await caught(pool.run({ echo: 3 }, LONG)))?.code).toBe('server/busy');
    expect((await Promise.all([first, second])).map(resultOf)).toEqual([1, 2]);
  });

  test('forgets a job whose asker leaves, waiting or at work', async () => {
    const { pool } = open();
    await pool.run({ echo: 0 }, LONG);
    const leaving = new AbortController();
    const atWork = caught(pool.run({ spin: true }, { ...LONG, signal: leaving.signal }));
    const waiting = caught(pool.run({ spin: true }, { ...LONG, signal: leaving.signal }));
    const staying = pool.run({ echo: 'here' }, LONG);
    leaving.abort(new Error('left'));
    expect((await atWork)?.message).toBe('left');
    expect((await waiting)?.message).toBe('left');
    expect(resultOf(await staying)).toBe('here');
    expect((await caught(pool.run({ echo: 1 }, { ...LONG, signal: leaving.signal })))?.message).toBe('left');
  });

  test('replaces a child after its share of jobs', async () => {
    const { pool } = open({ maxJobs: 2 });
    const pids: unknown[] = [];
    for (let job = 0; job < 4; job++) pids.push(resultOf(await pool.run({ pid: true }, LONG)));
    expect(pids[0]).toBe(pids[1]);
    expect(pids[2]).toBe(pids[3]);
    expect(pids[0]).not.toBe(pids[2]);
  });

  test('lets a child end when there is nothing to do', async () => {
    const { pool } = open({ idleMs: 10 });
    const pid = resultOf(await pool.run({ pid: true }, LONG)) as number;
    while (isAlive(pid)) await Bun.sleep(5);
    expect(resultOf(await pool.run({ echo: 1 }, LONG))).toBe(1);
  });

  test('shows a child nothing of our environment', async () => {
    process.env['SECRET_OF_THE_TEST'] = 'x';
    const { pool } = open();
    const names = resultOf(await pool.run({ environment: true }, LONG)) as string[];
    delete process.env['SECRET_OF_THE_TEST'];
    expect(names).not.toContain('SECRET_OF_THE_TEST');
  });

  test('says so when its children cannot start', async () => {
    const { pool, log } = open({ entry: join(import.meta.dirname, 'there-is-no-such-file.ts') });
    expect(await pool.run({ echo: 1 }, LONG)).toEqual({ status: 'crashed' });
    expect(log.lines).toMatchObject([{ level: 'error', message: 'a child process could not start' }]);
  });

  test('tells whoever waits when it stops, and takes nothing more', async () => {
    const { pool } = open();
    const pid = resultOf(await pool.run({ pid: true }, LONG)) as number;
    const waiting = [pool.run({ spin: true }, LONG), pool.run({ echo: 1 }, LONG)].map(caught);
    await pool.stop();
    expect((await Promise.all(waiting)).map((error) => error?.code)).toEqual(['server/draining', 'server/draining']);
    expect((await caught(pool.run({ echo: 1 }, LONG)))?.code).toBe('server/draining');
    expect(isAlive(pid)).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
