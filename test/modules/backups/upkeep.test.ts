import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { databaseLeases } from '../../../src/db/leases.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { backups } from '../../../src/db/schema/backups.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { cronSchedule } from '../../../src/modules/backups/schedule.ts';
import { createUpkeep } from '../../../src/modules/backups/upkeep.ts';
import type { KeptBackup } from '../../../src/modules/backups/work.ts';
import type { Database } from '../../../src/ports/database.ts';
import { recordingLog } from '../../support/fakes.ts';

const HOUR = 3_600_000;
/** Half past two at night where the server is. */
const START = new Date(2026, 10, 23, 2, 30).getTime();

let database: Database;
let now: number;
let pruned: number;
let kept: KeptBackup[];
let isDown: boolean;
let vanished: number;
beforeEach(async () => {
  database = await openEmbeddedDatabase({ name: 'main', path: ':memory:' });
  await migrate(database, loadMigrations());
  now = START;
  pruned = 0;
  kept = [];
  isDown = false;
  vanished = 0;
});
afterEach(() => database.close());

const clock = { now: () => now };
const machine = (schedule: string | null = '0 3 * * *', canTestRestore = true) =>
  createUpkeep({
    database,
    leases: databaseLeases(database, clock),
    clock,
    log: recordingLog(),
    work: {
      forget: async () => undefined,
      kept: async () => {
        if (isDown) throw new Error('the repository cannot be reached');
        return { backups: kept, broken: [] };
      },
      prune: async () => {
        pruned++;
        return [];
      },
    },
    schedule: schedule === null ? null : cronSchedule(schedule),
    canTestRestore,
    onVanished: () => void vanished++,
  });
const run = async (upkeep: ReturnType<typeof machine>): Promise<void> => {
  if (await upkeep.isDue()) await upkeep.run(new AbortController().signal);
};
const rows = () => database.read.select().from(backups);
/** The work that was asked for is done. */
const finishAll = async () => {
  await database.write((tx) =>
    tx
      .update(backups)
      .set({ status: 'done', isKept: true })
      .then(() => {}),
  );
  kept = (await rows()).map((row) => ({ ...row, bytes: 1, fileCount: 0, isImported: false }));
};

describe('the schedule', () => {
  test('notes down one backup at its time, whichever machine is first', async () => {
    const machines = [machine(), machine()];
    for (const each of machines) await run(each);
    expect(await rows()).toEqual([]);
    now += HOUR;
    await Promise.all(machines.map(run));
    for (const each of machines) await run(each);
    expect(await rows()).toMatchObject([{ scope: 'system', status: 'queued', userId: null, note: 'scheduled' }]);
    await finishAll();
    now += 23 * HOUR;
    for (const each of machines) await run(each);
    expect((await rows()).length).toBe(1);
    now += HOUR;
    for (const each of machines) await run(each);
    expect((await rows()).length).toBe(2);
  });

  test('catches up once with all the times at which no machine ran', async () => {
    await run(machine());
    now += 5 * 24 * HOUR;
    const restarted = machine();
    await run(restarted);
    await run(restarted);
    expect((await rows()).length).toBe(1);
  });

  test('asks for no second one while the first goes on', async () => {
    const upkeep = machine();
    await run(upkeep);
    now += 24 * HOUR;
    await run(upkeep);
    now += 24 * HOUR;
    await run(upkeep);
    expect((await rows()).length).toBe(1);
  });

  test('goes on after a clock that had jumped a year ahead', async () => {
    const upkeep = machine();
    await run(upkeep);
    now += 365 * 24 * HOUR;
    await run(upkeep);
    await finishAll();
    now -= 364 * 24 * HOUR;
    await run(machine());
    expect((await rows()).length).toBe(2);
  });

  test('that is off asks for nothing', async () => {
    const upkeep = machine(null);
    await run(upkeep);
    now += 100 * 24 * HOUR;
    await run(upkeep);
    expect(await rows()).toEqual([]);
  });
});

describe('proof', () => {
  const orders = async (days: number, canTestRestore: boolean) => {
    const upkeep = machine('0 3 * * *', canTestRestore);
    kept = [
      {
        id: uuidv7(),
        scope: 'system',
        userId: null,
        note: '',
        createdAt: now,
        bytes: 1,
        fileCount: 0,
        isImported: false,
      },
    ];
    const found: string[] = [];
    for (let day = 0; day < days; day++) {
      for (let time = 0; time < 3; time++) {
        await run(upkeep);
        const asked = (await rows()).filter(({ status, operation }) => status === 'queued' && operation === 'verify');
        found.push(...asked.map(({ order }) => order.level as string));
        await finishAll();
      }
      now += 24 * HOUR;
    }
    return found;
  };

  test('a share is looked at every day, and once a week one is restored for a test', async () => {
    const found = await orders(15, true);
    expect(found.filter((level) => level === 'test-restore').length).toBe(2);
    expect(found.filter((level) => level === 'share').length).toBeGreaterThanOrEqual(12);
  });

  test('nothing is restored for a test where backups cannot be read', async () => {
    expect(await orders(15, false)).not.toContain('test-restore');
  });
});

describe('the list', () => {
  const keptOne = () =>
    ({
      id: uuidv7(),
      scope: 'system',
      userId: null,
      note: '',
      createdAt: now,
      bytes: 1,
      fileCount: 0,
      isImported: false,
    }) as const;

  test('does not lose a backup because the repository could not be asked', async () => {
    const [first, second] = [keptOne(), keptOne()];
    kept = [first, second];
    const upkeep = machine(null);
    await run(upkeep);
    expect((await rows()).map(({ id }) => id).sort()).toEqual([first.id, second.id].sort());
    isDown = true;
    now += HOUR;
    await run(upkeep);
    expect((await rows()).length).toBe(2);
    isDown = false;
    kept = [second];
    await run(upkeep);
    expect((await rows()).map(({ id }) => id)).toEqual([second.id]);
    expect(vanished).toBe(0);
  });

  test('stays when the repository is empty all at once, and somebody is told', async () => {
    kept = [keptOne()];
    const upkeep = machine(null);
    await run(upkeep);
    kept = [];
    now += HOUR;
    await run(upkeep);
    expect((await rows()).length).toBe(1);
    expect(vanished).toBe(1);
  });

  test('retention runs after a backup was made, and only then', async () => {
    const upkeep = machine(null);
    await run(upkeep);
    expect(pruned).toBe(0);
    upkeep.onCreated();
    await run(upkeep);
    await run(upkeep);
    expect(pruned).toBe(1);
  });
});
