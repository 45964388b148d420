import { AddressMap } from '../kernel/address-map.ts';

/** The head of a CGI answer (RFC 3875 §6): header lines up to an empty one, then the body. */
export interface CgiHead {
  readonly status: number;
  /** Names in lower case. Heads that are the same may share one list. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Where the body begins. */
  readonly bodyStart: number;
}

/** The script's head breaks the rules; the message says how and repeats nothing of it. */
export class CgiFault extends Error {
  override readonly name = 'CgiFault';
}

/** Larger heads are refused, whether or not they ever end. */
export const MAX_HEAD_BYTES = 65_536;

/** Most pages of an application have one of a few heads. */
const REMEMBERED = 200;

/**
 * Makes a reader of the head at the start of what a script wrote; it gives `null` while that is not complete. Lines end in CRLF or LF.
 * An interim head (1xx, RFC 9110 §15.2) cannot be passed on and is skipped: the final one follows it.
 *
 * @throws CgiFault
 */
export function createHeadReader(): (bytes: Buffer) => CgiHead | null {
  const known = new AddressMap<Lines>(REMEMBERED);
  const read = (text: string): Lines => {
    let lines = known.get(text);
    if (!lines) {
      lines = parseLines(text);
      known.set(text, lines);
    }
    return lines;
  };
  return (bytes) => {
    let start = 0;
    for (;;) {
      const end = findEnd(bytes, start);
      if ((end ?? bytes.length) > MAX_HEAD_BYTES) throw new CgiFault(`the head is larger than ${MAX_HEAD_BYTES} bytes`);
      if (end === null) return null;
      const { status, headers } = read(bytes.toString('latin1', start, end));
      if (status >= 200) return { status, headers, bodyStart: end };
      start = end;
    }
  };
}

/** Behind the empty line that ends the head at `start`. */
function findEnd(bytes: Buffer, start: number): number | null {
  let from = start;
  for (;;) {
    const lineEnd = bytes.indexOf(LF, from);
    if (lineEnd < 0) return null;
    const next = bytes[lineEnd + 1];
    if (next === LF) return lineEnd + 2;
    if (next === CR && bytes[lineEnd + 2] === LF) return lineEnd + 3;
    from = lineEnd + 1;
  }
}

const LF = 10;
const CR = 13;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FORBIDDEN = /[\0\r]/;

type Lines = Pick<CgiHead, 'status' | 'headers'>;

function parseLines(text: string): Lines {
  const headers: [string, string][] = [];
  let status: number | null = null;
  let hasLocation = false;
  for (const raw of text.split('\n')) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    if (!NAME.test(name)) throw new CgiFault('a line of the head is no header');
    const value = line.slice(colon + 1).trim();
    if (FORBIDDEN.test(value)) throw new CgiFault('a header holds a control character');
    const lower = name.toLowerCase();
    if (lower === 'status') {
      const code = /^(\d{3})(?:\s|$)/.exec(value)?.[1];
      status = Number(code ?? 0);
      if (status < 100 || status > 599) throw new CgiFault('the status is none');
    } else {
      hasLocation ||= lower === 'location';
      headers.push([lower, value]);
    }
  }
  if (headers.length === 0 && status === null) throw new CgiFault('the head is empty');
  // A redirect needs no status of its own (RFC 3875 §6.2.3).
  return { status: status ?? (hasLocation ? 302 : 200), headers };
}
