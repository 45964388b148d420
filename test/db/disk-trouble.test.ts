import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import type { Database } from '../../src/ports/database.ts';

/** A file system of its own can only be mounted by root on Linux. */
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

const mount = (...args: string[]) => {
  const { exitCode, stderr } = Bun.spawnSync(args);
  if (exitCode !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
};

describe.skipIf(!canMount)('a database on a disk in trouble', () => {
  let directory: string;
  let database: Database;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bunkhouse-disk-'));
    mount('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory);
    database = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
    await database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY, body TEXT)`));
  });
  afterEach(async () => {
    await database.close();
    mount('umount', '-l', directory);
    await rm(directory, { recursive: true, force: true });
  });

  const insert = (id: number) =>
    database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (${id}, ${'x'.repeat(20_000)})`));
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'kept',
      (error: { code?: string }) => error.code ?? String(error),
    );

  test('that is full answers with a typed error, keeps what was acknowledged, and goes on when there is room', async () => {
    const ballast = join(directory, 'ballast');
    await writeFile(ballast, new Uint8Array(2 * 2 ** 20));
    const acknowledged: number[] = [];
    let code = 'kept';
    for (let id = 0; id < 1_000 && code === 'kept'; id++) {
      code = await codeOf(insert(id));
      if (code === 'kept') acknowledged.push(id);
    }
    expect(code).toBe('database/full');
    expect(await database.read.values(sql`SELECT id FROM kept ORDER BY id`)).toEqual(acknowledged.map((id) => [id]));
    await rm(ballast);
    expect(await codeOf(insert(5_000))).toBe('kept');
  });

  test('that is read-only says so by a typed error when it is opened', async () => {
    await insert(1);
    await database.close();
    mount('mount', '-o', 'remount,ro', directory);
    const code = await codeOf(openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') }));
    mount('mount', '-o', 'remount,rw', directory);
    expect(code).toMatch(/^database\/(?:read-only|unavailable)$/);
    database = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
    expect(await database.read.values(sql`SELECT id FROM kept`)).toEqual([[1]]);
  });
});
