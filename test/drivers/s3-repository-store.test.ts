import { afterAll } from 'bun:test';
import { s3RepositoryStore } from '../../src/drivers/s3-repository-store.ts';
import { repositoryStoreContract } from '../contracts/repository-store.ts';
import { recordingLog } from '../support/fakes.ts';
import { startS3StubProcess } from '../support/s3-stub-process.ts';
import { hasSwift, startSwift } from '../support/swift.ts';
import { contentsOf, type TestBucket } from '../support/test-bucket.ts';

function contractOn(name: string, bucket: TestBucket): void {
  afterAll(() => bucket.stop());
  let count = 0;
  repositoryStoreContract(name, async () => {
    const prefix = `backups-${++count}`;
    return {
      store: s3RepositoryStore({ ...bucket.options, prefix, log: recordingLog() }),
      leftovers: () => contentsOf(bucket, `${prefix}/`),
      // Three buffers of 5 MiB, and what is on its way of two of them.
      growthBytes: 112 * 2 ** 20,
      close: async () => undefined,
    };
  });
}

contractOn('S3 (the stub)', await startS3StubProcess());
if (hasSwift) contractOn('S3 (OpenStack Swift)', await startSwift());
