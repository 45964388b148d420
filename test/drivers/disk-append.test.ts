import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appender } from '../../src/drivers/disk-append.ts';
import type { BlockPipe } from '../../src/drivers/disk-blocks.ts';
import { diskIntake } from '../../src/drivers/disk-intake.ts';
import { bytes, from } from '../contracts/object-store.ts';

let directory: string;
let handle: FileHandle;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bunkhouse-'));
  handle = await open(join(directory, 'file'), 'w');
});
afterEach(async () => {
  await handle.close();
  await rm(directory, { recursive: true });
});

test('a new file whose first bytes are sent on before they fill a block is hashed as it comes', async () => {
  const intake = diskIntake();
  let pipe: BlockPipe | undefined;
  const append = appender({
    ...intake,
    openInflow(...given) {
      const inflow = intake.openInflow(...given);
      pipe = inflow.pipe;
      return inflow;
    },
  });
  const parts = [bytes(1000, 1), bytes(3 * 2 ** 20, 2), bytes(10, 3)];
  async function* slowly() {
    for (const part of parts) {
      yield part;
      // As when a client is slow.
      pipe?.ship();
    }
  }
  const hash = await append(handle, slowly(), { position: 0, hash: null });
  expect(await hash?.digest()).toBe(createHash('sha256').update(Buffer.concat(parts)).digest('hex'));
});

test('a small new file comes without a hash', async () => {
  const append = appender(diskIntake());
  expect(await append(handle, from([bytes(1000)]), { position: 0, hash: null })).toBeNull();
});
