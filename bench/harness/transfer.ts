import { join } from 'node:path';
import { run } from './tools.ts';

/** One large body, sent or fetched by a process of its own. */
export interface Transfer {
  /** PATCH sends as tus does. */
  readonly method: 'PUT' | 'PATCH' | 'GET';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Length of the body; a download of another length is a failure. */
  readonly bytes: number;
}

export interface TransferResult {
  /** From the first byte sent to the last byte received. */
  readonly ms: number;
  /** Body of the answer to an upload; empty for a download. */
  readonly answer: string;
}

/** What is sent is this block again and again. */
export const BLOCK_BYTES = 2 ** 20;

const CLIENT = join(import.meta.dir, 'transfer-client.ts');
const TIMEOUT_MS = 5 * 60_000;

/** Runs the transfer; the client shares the cores with the server. Throws when it fails. */
export async function runTransfer(transfer: Transfer): Promise<TransferResult> {
  return JSON.parse(await run(['bun', CLIENT, JSON.stringify(transfer)], TIMEOUT_MS)) as TransferResult;
}

/** Bytes that do not compress and look like no known file type; the same in every process. */
export function makeBlock(): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(BLOCK_BYTES / 4);
  let word = 1;
  for (let index = 0; index < words.length; index++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    words[index] = word;
  }
  return new Uint8Array(words.buffer);
}

/** SHA-256 of an upload of that length, in hex; the length MUST be whole blocks. */
export function transferDigest(bytes: number): string {
  const block = makeBlock();
  const hasher = new Bun.CryptoHasher('sha256');
  for (let sent = 0; sent < bytes; sent += BLOCK_BYTES) hasher.update(block);
  return hasher.digest('hex');
}
