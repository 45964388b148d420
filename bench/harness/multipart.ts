import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

const BOUNDARY = 'bunkhouse-bench-0123456789';
export const MULTIPART = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

/** Writes the body of a form with one file of random bytes, byte for byte the same for every server. @returns its path. */
export async function writeMultipart(directory: string, bytes: number): Promise<string> {
  const head = [
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="file"; filename="sample.bin"',
    'Content-Type: application/octet-stream',
    '\r\n',
  ].join('\r\n');
  const path = join(directory, 'multipart.bin');
  await Bun.write(path, Buffer.concat([Buffer.from(head), randomBytes(bytes), Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]));
  return path;
}
