import { expect, test } from 'bun:test';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskIntake } from '../../src/drivers/disk-intake.ts';
import { writeStream } from '../../src/drivers/disk-stream.ts';
import { bytes, failureOf, from } from '../contracts/object-store.ts';

test('the file is closed when the way around the page cache cannot be', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-'));
  const handle = await open(join(directory, 'file'), 'w');
  const intake = diskIntake();
  const failing: typeof intake = {
    ...intake,
    openInflow(...given) {
      const inflow = intake.openInflow(...given);
      const close = async () => {
        await inflow.writer.close();
        throw new Error('cannot be closed');
      };
      return { ...inflow, writer: { ...inflow.writer, close } };
    },
  };
  try {
    const fault = await failureOf(writeStream(failing, handle, [], from([bytes(10)]), false));
    expect(fault).toMatchObject({ message: 'cannot be closed' });
    expect(handle.fd).toBe(-1);
  } finally {
    await rm(directory, { recursive: true });
  }
});
