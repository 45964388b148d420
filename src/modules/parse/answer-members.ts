import { isUtf8 } from 'node:buffer';
import type { ViewOutput } from './view.ts';

/**
 * What a view found, as the inside of a JSON object: `"result":…,"warnings":[…]` in UTF-8. A byte array among the properties of the
 * result is a text in UTF-8: code that a parser gives as bytes becomes JSON without being made a string of characters first.
 */
export function toMembers({ result, warnings }: ViewOutput): Uint8Array {
  const after = `,"warnings":${JSON.stringify(warnings)}`;
  if (!holdsBytes(result)) return new TextEncoder().encode(`"result":${JSON.stringify(result ?? null)}${after}`);
  const parts = Object.entries(result).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const text = value instanceof Uint8Array ? quote(value) : Buffer.from(JSON.stringify(value));
    return [Buffer.from(`,${JSON.stringify(name)}:`), text];
  });
  // The comma before the first property.
  parts[0] = (parts[0] as Buffer).subarray(1);
  return Buffer.concat([Buffer.from('"result":{'), ...parts, Buffer.from(`}${after}`)]);
}

function holdsBytes(result: unknown): result is object {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return false;
  return Object.values(result).some((value) => value instanceof Uint8Array);
}

/** A text as a JSON string (RFC 8259 §7). Only ASCII is escaped, so each byte may stand for a character while that is done. */
function quote(utf8: Uint8Array): Buffer {
  const bytes = Buffer.from(utf8.buffer, utf8.byteOffset, utf8.byteLength);
  if (!isUtf8(bytes)) return Buffer.from(JSON.stringify(new TextDecoder().decode(bytes)));
  const text = bytes.toString('latin1');
  return Buffer.from(CONTROLS.test(text) ? JSON.stringify(text) : `"${text.replace(/["\\]/g, '\\$&')}"`, 'latin1');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROLS = /[\x00-\x1f]/;
