import { afterAll } from 'bun:test';
import { s3Stores } from '../../src/drivers/s3-stores.ts';
import { objectStoreContract } from '../contracts/object-store.ts';
import { resumableStoreContract } from '../contracts/resumable-store.ts';
import { recordingLog } from '../support/fakes.ts';
import { startS3StubProcess } from '../support/s3-stub-process.ts';
import { contentsOf } from '../support/test-bucket.ts';

const bucket = await startS3StubProcess();
afterAll(() => bucket.stop());
let count = 0;

objectStoreContract('S3 (the stub)', async () => {
  const prefix = `house-${++count}`;
  return {
    store: s3Stores({ ...bucket.options, prefix, log: recordingLog() }).objects,
    leftovers: () => contentsOf(bucket, `${prefix}/`),
    // Three buffers of 8 MiB, and what is on its way of two of them.
    growthBytes: 128 * 2 ** 20,
    close: async () => undefined,
  };
});

resumableStoreContract('S3 (the stub)', async () => {
  const prefix = `house-${++count}`;
  const open = () => s3Stores({ ...bucket.options, prefix, log: recordingLog() });
  const { resumable, objects } = open();
  return {
    resumable,
    objects,
    reopen: () => open().resumable,
    leftovers: () => contentsOf(bucket, `${prefix}/`),
    close: async () => undefined,
  };
});
