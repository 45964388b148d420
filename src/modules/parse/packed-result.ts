import type { ParseResult } from './job.ts';

const NEWLINE = 0x0a;
const NOTHING = new Uint8Array(0);

/** A result as bytes, which the cache keeps as they are: a line of JSON, then the members of an answer. */
export function packResult(result: ParseResult): Uint8Array {
  const { members, ...head } = result.status === 'read' ? result : { ...result, members: NOTHING };
  const line = new TextEncoder().encode(`${JSON.stringify(head)}\n`);
  const packed = new Uint8Array(line.byteLength + members.byteLength);
  packed.set(line);
  packed.set(members, line.byteLength);
  return packed;
}

/** The result again; its members are a part of the bytes. */
export function unpackResult(bytes: Uint8Array): ParseResult {
  const end = bytes.indexOf(NEWLINE);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as ParseResult;
  return head.status === 'read' ? { ...head, members: bytes.subarray(end + 1) } : head;
}
