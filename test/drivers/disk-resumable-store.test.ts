import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskObjectStore } from '../../src/drivers/disk-object-store.ts';
import { diskResumableStore } from '../../src/drivers/disk-resumable-store.ts';
import { resumableStoreContract } from '../contracts/resumable-store.ts';
import { filesBelow } from '../support/files-below.ts';

resumableStoreContract('the disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-resumable-'));
  const root = join(folder, 'objects');
  return {
    resumable: diskResumableStore({ root }),
    objects: diskObjectStore({ root }),
    reopen: () => diskResumableStore({ root }),
    leftovers: () => filesBelow(root),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
