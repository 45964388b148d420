import { isUuid, toBase64Url } from '../kernel/ids.ts';
import { requestProblems } from '../kernel/problems.ts';

/** Where a list of things with ids goes on: after the last id, so that new ones do not shift the pages. */
export function toCursor(id: string): string {
  return toBase64Url(new TextEncoder().encode(id));
}

/** The id in a cursor. Throws `request/invalid` for what is none of ours. */
export function fromCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (isUuid(id)) return id;
  throw requestProblems.create('invalid', {
    faults: [{ pointer: '/query/cursor', detail: 'Expected a nextCursor of this list' }],
  });
}
