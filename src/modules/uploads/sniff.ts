import type { MagicParser } from './magic.ts';

/** How much of a file's beginning {@link SniffType} wants to see, in bytes. */
export const SNIFF_BYTES = 4096;

const OPAQUE = 'application/octet-stream';
const TEXT = 'text/plain;charset=utf-8';
/** Tags that make a browser take a text for a page (WHATWG MIME Sniffing §7.1). */
const HTML =
  /^<(?:!doctype html|html|head|body|script|iframe|style|title|h1|div|font|table|a|b|br|p|img|form|meta|link)[\s/>]/i;

/** Types that pictures are made of. SVG is a program and never among them. */
const PICTURE_TYPES = new Set(['image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/bmp']);

/** Whether smaller pictures can be made of content of this type. */
export function isPicture(type: string): boolean {
  return PICTURE_TYPES.has(type);
}

/**
 * The media type of a file by its first bytes: magic numbers, then what browsers would take for SVG, HTML or XML, then
 * UTF-8 text. What the client claims is never asked. A polyglot is called one thing here and served so that it cannot
 * act as the other (`serving.ts`).
 */
export type SniffType = (head: Uint8Array) => Promise<string>;

/** Loads what a {@link SniffType} needs, with the first upload and not with the server; sniffing then cannot fail. */
export async function loadSniffing(): Promise<SniffType> {
  const { MagicParser } = await import('./magic.ts');
  return async (head) => {
    const known = await byMagic(new MagicParser(), head);
    if (known !== null && known !== 'application/xml') return known;
    const text = decodeText(head);
    return text === null ? (known ?? OPAQUE) : typeOfText(text);
  };
}

/** As a {@link SniffType} that is loaded when it is asked. */
export const sniffType: SniffType = async (head) => (await loadSniffing())(head);

async function byMagic(parser: MagicParser, head: Uint8Array): Promise<string | null> {
  try {
    return (await parser.fromBuffer(head))?.mime ?? null;
  } catch {
    // The head was cut inside a structure that the detector wanted to follow.
    return null;
  }
}

/** The beginning as text, `null` when it is not UTF-8 or holds bytes that text does not have. */
function decodeText(head: Uint8Array): string | null {
  if (head.length === 0 || hasBinaryByte(head)) return null;
  try {
    // In stream mode a character that is cut off at the end is no fault.
    return new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: head.length >= SNIFF_BYTES });
  } catch {
    return null;
  }
}

/** Whether there is a binary data byte of WHATWG MIME Sniffing §3. */
function hasBinaryByte(bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] as number;
    const isBinary = byte <= 0x08 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1a) || (byte >= 0x1c && byte <= 0x1f);
    if (isBinary) return true;
  }
  return false;
}

function typeOfText(text: string): string {
  const markup = text.slice(rootAt(text, false));
  const isXml = /^<\?xml\b/i.test(markup);
  const root = isXml ? markup.slice(rootAt(markup, true)) : markup;
  if (/^<(?:!doctype svg|(?:[\w-]+:)?svg)\b/i.test(root)) return 'image/svg+xml';
  if (isXml) return /^<(?:[\w-]+:)?html\b/i.test(root) ? 'application/xhtml+xml' : 'application/xml';
  return HTML.test(markup) ? 'text/html' : TEXT;
}

/**
 * Where the text goes on behind white space and comments and, in XML, behind instructions and the document type (XML 1.0 §2.8).
 * What has no end is not skipped. The work grows with the text alone, whatever is in it.
 */
function rootAt(text: string, isXml: boolean): number {
  const space = /\s*/y;
  for (let at = 0; ; ) {
    space.lastIndex = at;
    space.test(text);
    const start = space.lastIndex;
    let end = -1;
    if (text.startsWith('<!--', start)) end = behind(text, '-->', start + 4);
    else if (isXml && text.startsWith('<?', start)) end = behind(text, '?>', start + 2);
    else if (isXml && /^<!doctype$/i.test(text.slice(start, start + 9))) end = behindDoctype(text, start + 9);
    if (end === -1) return start;
    at = end;
  }
}

function behindDoctype(text: string, from: number): number {
  const inner = /[[>]/g;
  inner.lastIndex = from;
  const found = inner.exec(text);
  if (!found) return -1;
  if (found[0] === '>') return inner.lastIndex;
  const subsetEnd = behind(text, ']', inner.lastIndex);
  return subsetEnd === -1 ? -1 : behind(text, '>', subsetEnd);
}

function behind(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at === -1 ? -1 : at + mark.length;
}
