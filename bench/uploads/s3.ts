import { s3Settings } from '../../test/support/s3-settings.ts';
import { startS3StubProcess } from '../../test/support/s3-stub-process.ts';
import type { Bench } from '../harness/area.ts';
import { peakResidentBytes, resetPeak } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { runTransfer, transferDigest } from '../harness/transfer.ts';
import { startSignedIn } from './ways.ts';

const MAX_MB = 200;

/** A large file on to a bucket, in another process of this machine: what it takes of memory, in all. */
export async function measureS3(bench: Bench): Promise<void> {
  const bytes = bench.options.transferBytes / 2;
  const size = `${figure(bytes / 2 ** 30)} GiB`;
  bench.say(`${size} to S3`);
  const bucket = await startS3StubProcess();
  try {
    const { server, headers } = await startSignedIn(bench, 's3', s3Settings(bucket));
    resetPeak(server.pid);
    const url = `${server.origin}/api/files/by-name/big`;
    const { ms, answer } = await runTransfer({ method: 'PUT', url, headers, bytes });
    const peakMb = megabytes(peakResidentBytes(server.pid));
    const { sha256 } = JSON.parse(answer) as { sha256: string };
    if (sha256 !== transferDigest(bytes)) throw new Error('the uploaded file has another digest than what was sent');
    await server.stop();
    bench.report.find({ what: `memory in all, ${size} to S3 by PUT`, value: peakMb, unit: 'MB', atMost: MAX_MB });
    bench.report.table(
      `${size} to S3`,
      ['MB/s', 'most MB in all'],
      [[figure(megabytes(bytes) / (ms / 1000)), figure(peakMb)]],
    );
  } finally {
    await bucket.stop();
  }
}
