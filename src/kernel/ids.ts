/** Identifiers and random secrets. */

const DIGITS = new TextEncoder().encode('0123456789abcdef');
const DASH = '-'.charCodeAt(0);
let lastMs = 0;
let sequence = 0;

/**
 * UUIDv7 (RFC 9562 §5.7): sortable by creation. Within one millisecond `rand_a` counts up from a random start
 * (§6.2, method 1), so ids made by one process never go backwards.
 */
export function uuidv7(nowMs: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  if (nowMs > lastMs) {
    lastMs = nowMs;
    sequence = (((bytes[6] as number) & 0x07) << 8) | (bytes[7] as number);
  } else if (++sequence > 0xfff) {
    lastMs += 1;
    sequence = 0;
  }
  const high = Math.floor(lastMs / 0x10000);
  bytes[0] = high >>> 24;
  bytes[1] = high >>> 16;
  bytes[2] = high >>> 8;
  bytes[3] = high;
  bytes[4] = lastMs >>> 8;
  bytes[5] = lastMs;
  bytes[6] = 0x70 | (sequence >>> 8);
  bytes[7] = sequence;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return formatUuid(bytes);
}

/** Whether a text has the form of a UUID of any version. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

/** Random bytes as base64url without padding (RFC 4648 §5): 32 bytes give 43 characters. */
export function randomToken(byteLength = 32): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(byteLength)));
}

/**
 * Makes short ids for requests: a random start for the process, then a count. Unique, cheap and no secret.
 */
export function createRequestIds(): () => string {
  const start = randomToken(9);
  let count = 0;
  return () => `${start}-${++count}`;
}

export function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

/** Puts the characters together before the text is made: a text that is added up takes ten times as much, and keeps it. */
function formatUuid(bytes: Uint8Array): string {
  const text = Buffer.alloc(36);
  let at = 0;
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text[at++] = DASH;
    const byte = bytes[index] as number;
    text[at++] = DIGITS[byte >>> 4] as number;
    text[at++] = DIGITS[byte & 15] as number;
  }
  return text.toString('latin1');
}
