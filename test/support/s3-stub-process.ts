import { startS3Stub } from './s3-stub.ts';
import type { TestBucket } from './test-bucket.ts';

/** The stub in a process of its own, so that what it needs is not counted as ours. */
export async function startS3StubProcess(): Promise<TestBucket> {
  const child = Bun.spawn([process.execPath, import.meta.path], { stdin: 'pipe', stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  const options = JSON.parse(new TextDecoder().decode(value)) as TestBucket['options'];
  return {
    options,
    async stop() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

if (import.meta.main) {
  const { options, stop } = await startS3Stub({ refusesChecksums: true, wantsEqualParts: true });
  process.stdout.write(`${JSON.stringify(options)}\n`);
  // Ends with the process that started it.
  process.stdin.on('end', () => void stop().finally(() => process.exit()));
  process.stdin.resume();
}
