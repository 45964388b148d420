import { damaged } from './codec.ts';
import type { Manifest, ObjectEntry } from './manifest.ts';
import { fromKey, isEncryptedKey } from './object-names.ts';

/** The content of a user's file, as the list of a snapshot has it. */
export type ListLine = ObjectEntry;

const LINE = /^([0-9a-f]{64}) (\d{1,15}) (\d{1,15}) ([0-9a-f]{64}) ([0-9a-z.]{3,40})$/;
const MAX_LINE_LENGTH = 256;

/** `SHA256 BYTES STOREDBYTES STOREDSHA256 EXTENSION`; the content is stored as `blobs/`, first two digits, `/SHA256.EXTENSION`. */
export function toLine({ key, sha256, bytes, storedBytes, storedSha256 }: ListLine): string {
  const extension = key.slice(key.indexOf('.') + 1);
  return `${sha256} ${bytes} ${storedBytes} ${storedSha256} ${extension}\n`;
}

/**
 * Reads the list of a manifest, in order of the hashes.
 * @throws backups/damaged for a line that cannot be, and at the end when the sums are not those of the manifest.
 */
export async function* readList(
  { blobs, recipient }: Pick<Manifest, 'blobs' | 'recipient'>,
  plain: AsyncIterable<Uint8Array>,
): AsyncGenerator<ListLine> {
  let count = 0;
  let bytes = 0;
  let last = '';
  for await (const text of linesOf(plain)) {
    const line = text === null ? null : fromLine(text);
    if (!line || line.sha256 <= last || isEncryptedKey(line.key) !== (recipient !== null)) {
      throw damaged(blobs.list, `line ${count + 1} cannot be`);
    }
    last = line.sha256;
    count++;
    bytes += line.bytes;
    yield line;
  }
  if (count !== blobs.count || bytes !== blobs.bytes) throw damaged(blobs.list, 'the manifest counts other blobs');
}

function fromLine(text: string): ListLine | null {
  const [, sha256 = '', bytes, storedBytes, storedSha256 = '', extension] = LINE.exec(text) ?? [];
  const key = `blobs/${sha256.slice(0, 2)}/${sha256}.${extension}`;
  if (fromKey(key)?.kind !== 'blob') return null;
  return { key, sha256, bytes: Number(bytes), storedBytes: Number(storedBytes), storedSha256 };
}

/** Lines without their ends; `null` for one that is too long or has no end. */
export async function* linesOf(plain: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  const decoder = new TextDecoder('latin1');
  let rest = '';
  for await (const chunk of plain) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
    if (rest.length > MAX_LINE_LENGTH) yield null;
  }
  if (rest !== '') yield null;
}
