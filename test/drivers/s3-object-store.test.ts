import { afterAll } from 'bun:test';
import { s3Stores } from '../../src/drivers/s3-stores.ts';
import { directAccessContract } from '../contracts/direct-access.ts';
import { objectStoreContract } from '../contracts/object-store.ts';
import { resumableStoreContract } from '../contracts/resumable-store.ts';
import { recordingLog } from '../support/fakes.ts';
import { startS3StubProcess } from '../support/s3-stub-process.ts';
import { hasSwift, startSwift } from '../support/swift.ts';
import { contentsOf, type TestBucket } from '../support/test-bucket.ts';

/** Every contract on one bucket; every test has a prefix of its own. */
function contractsOn(name: string, bucket: TestBucket): void {
  afterAll(() => bucket.stop());
  let count = 0;
  const open = () => {
    const prefix = `house-${++count}`;
    const reopen = () => s3Stores({ ...bucket.options, prefix, log: recordingLog() });
    return { reopen, ...reopen(), leftovers: () => contentsOf(bucket, `${prefix}/`), close: async () => undefined };
  };
  objectStoreContract(name, async () => {
    const { objects: store, leftovers, close } = open();
    // Three buffers of 5 MiB, and what is on its way of two of them.
    return { store, leftovers, close, growthBytes: 112 * 2 ** 20 };
  });
  directAccessContract(name, async () => {
    const { objects: store, leftovers } = open();
    return { store, leftovers };
  });
  resumableStoreContract(name, async () => {
    const { reopen, ...stores } = open();
    return { ...stores, reopen: () => reopen().resumable };
  });
}

contractsOn('S3 (the stub)', await startS3StubProcess());
if (hasSwift) contractsOn('S3 (OpenStack Swift)', await startSwift());
