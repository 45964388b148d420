import { afterAll, expect, test } from 'bun:test';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskRepositoryStore } from '../../src/drivers/disk-repository-store.ts';
import { writebackStarter } from '../../src/drivers/disk-writeback.ts';
import { bytes, from } from '../contracts/object-store.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-writeback-'));
  folders.push(folder);
  return folder;
}

test('writing to the disk begins without a change of what was written, and what is no file is no failure', async () => {
  const path = join(await makeFolder(), 'one');
  const handle = await open(path, 'wx');
  const start = writebackStarter();
  await handle.write(bytes(300_000));
  start(handle.fd);
  const { fd } = handle;
  await handle.close();
  start(fd);
  expect((await readFile(path)).equals(bytes(300_000))).toBe(true);
});

test.if(process.platform === 'linux')(
  'the disk begins with a small object when it is put, with all of it, and not only at the flush',
  async () => {
    const root = await makeFolder();
    const begun: number[] = [];
    const store = diskRepositoryStore({
      root,
      startWriteback: (descriptor) => begun.push(Bun.file(`/proc/self/fd/${descriptor}`).size),
    });
    await store.put('blobs/ab/whole', bytes(5_000), { isDeferred: true });
    await store.put('blobs/ab/streamed', from([bytes(700), bytes(300)]), { isDeferred: true });
    expect(begun).toEqual([5_000, 1_000]);
  },
);
