import type { Language } from './job.ts';
import { parseProblems } from './problems.ts';

export interface DecodedText {
  readonly text: string;
  readonly charset: { readonly name: string; readonly by: 'bom' | 'header' | 'meta' | 'default' };
}

/** How far a declaration inside the source is looked for (HTML §13.2.3.2). */
const PRESCAN_BYTES = 1024;
/** With more than one undecodable character in so many the source is no text. */
const BROKEN_SHARE = 10;

/**
 * Bytes as text. The byte order mark decides, else what the sender says, else what the source says of itself, else UTF-8
 * (Encoding Standard §6, HTML §13.2.3, CSS Syntax §3.2).
 * @throws `parse/not-text`
 */
export function decodeText(bytes: Uint8Array, contentType: string | null, language: Language): DecodedText {
  const mark = byteOrderMark(bytes);
  if (mark) return decode(bytes, mark, 'bom');
  const sent = contentType ? /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(contentType)?.[1] : undefined;
  if (sent) return decode(bytes, sent, 'header');
  const declared = declaredCharset(bytes, language);
  if (declared) return decode(bytes, declared, 'meta');
  return decode(bytes, 'utf-8', 'default');
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

function decode(bytes: Uint8Array, label: string, by: DecodedText['charset']['by']): DecodedText {
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(label);
  } catch {
    throw parseProblems.create('not-text', { detail: 'The source is in an encoding that is not known.' });
  }
  const text = decoder.decode(bytes);
  if (isBroken(text)) throw parseProblems.create('not-text');
  return { text, charset: { name: decoder.encoding, by } };
}

/** Whether the text is mostly what text is not. Looks at the beginning alone. */
function isBroken(text: string): boolean {
  const start = text.slice(0, 4096);
  let broken = 0;
  for (let index = 0; index < start.length; index++) {
    const unit = start.charCodeAt(index);
    if (unit === 0xfffd || unit === 0 || (unit < 0x20 && unit !== 9 && unit !== 10 && unit !== 12 && unit !== 13))
      broken++;
  }
  return broken * BROKEN_SHARE > start.length;
}
