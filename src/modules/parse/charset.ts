import type { Language } from './job.ts';
import { parseProblems } from './problems.ts';

/** A source in bytes, and as what a view wants it; made when it is asked for. */
export interface SourceText {
  /** What decided how the bytes become text. */
  readonly charset: { readonly name: string; readonly by: 'bom' | 'header' | 'meta' | 'default' };
  readonly text: string;
  /** The text in UTF-8, without a byte order mark. It may hold broken characters when that is how it came. */
  readonly utf8: Uint8Array;
}

/** How far a declaration inside the source is looked for (HTML §13.2.3.2). */
const PRESCAN_BYTES = 1024;
/** How much of a source is looked at to see whether it is text. */
const LOOKED_AT_BYTES = 4096;
/** With more than one undecodable character in so many the source is no text. */
const BROKEN_SHARE = 10;

/**
 * How bytes are text. The byte order mark decides, else what the sender says, else what the source says of itself, else UTF-8
 * (Encoding Standard §6, HTML §13.2.3, CSS Syntax §3.2).
 * @throws `parse/not-text`, also for an encoding that nobody knows.
 */
export function openSource(bytes: Uint8Array, contentType: string | null, language: Language): SourceText {
  const [label, by] = findCharset(bytes, contentType, language);
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(label);
  } catch {
    throw parseProblems.create('not-text', { detail: 'The source is in an encoding that is not known.' });
  }
  if (isBroken(decoder.decode(bytes.subarray(0, LOOKED_AT_BYTES)))) throw parseProblems.create('not-text');
  let text: string | null = null;
  return {
    charset: { name: decoder.encoding, by },
    get text() {
      text ??= decoder.decode(bytes);
      return text;
    },
    get utf8() {
      if (decoder.encoding !== 'utf-8') return new TextEncoder().encode(this.text);
      return by === 'bom' ? bytes.subarray(UTF_8_MARK_BYTES) : bytes;
    },
  };
}

const UTF_8_MARK_BYTES = 3;

function findCharset(
  bytes: Uint8Array,
  contentType: string | null,
  language: Language,
): [label: string, by: SourceText['charset']['by']] {
  const mark = byteOrderMark(bytes);
  if (mark) return [mark, 'bom'];
  const sent = contentType ? /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(contentType)?.[1] : undefined;
  if (sent) return [sent, 'header'];
  const declared = declaredCharset(bytes, language);
  return declared ? [declared, 'meta'] : ['utf-8', 'default'];
}

function byteOrderMark(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return null;
}

function declaredCharset(bytes: Uint8Array, language: Language): string | null {
  if (language === 'js') return null;
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, PRESCAN_BYTES));
  const found =
    language === 'css'
      ? /^@charset "([\w.:-]+)";/.exec(start)?.[1]
      : /<meta[^>]+?charset\s*=\s*["']?\s*([\w.:-]+)/i.exec(start.replace(/<!--[\s\S]*?-->/g, ''))?.[1];
  // A declaration that can be read as ASCII is not UTF-16, whatever it says.
  return found && /^utf-16/i.test(found) ? 'utf-8' : (found ?? null);
}

/** Whether a text is mostly what text is not. */
function isBroken(text: string): boolean {
  let broken = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === 0xfffd || unit === 0 || (unit < 0x20 && unit !== 9 && unit !== 10 && unit !== 12 && unit !== 13))
      broken++;
  }
  return broken * BROKEN_SHARE > text.length;
}
