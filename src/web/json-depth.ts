/** Levels of arrays and objects inside one another; validators recurse, and some thousand levels would exhaust their stack. */
const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Whether a JSON text (UTF-8) nests deeper than anything here needs. A text that is no JSON may be judged either way. */
export function isNestedTooDeeply(text: Uint8Array): boolean {
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const byte = text[index];
    if (byte === QUOTE) index = endOfString(text, index + 1);
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (++depth > MAX_DEPTH) return true;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth--;
  }
  return false;
}

/** Most strings end sooner; a search costs more than looking at so few bytes. */
const NEAR_BYTES = 32;

/** Where the quote is that ends a string: near by byte for byte, farther away, where sources are, by a search for quotes. */
function endOfString(text: Uint8Array, from: number): number {
  for (let at = from; at < text.length; at++) {
    for (const near = at + NEAR_BYTES; at < near; at++) {
      if (text[at] === BACKSLASH) at++;
      else if (text[at] === QUOTE) return at;
    }
    const quote = text.indexOf(QUOTE, at);
    if (quote === -1) break;
    let escapes = quote;
    while (escapes > at && text[escapes - 1] === BACKSLASH) escapes--;
    if ((quote - escapes) % 2 === 0) return quote;
    at = quote;
  }
  return text.length;
}
