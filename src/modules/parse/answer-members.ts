import { isUtf8 } from 'node:buffer';
import type { ViewOutput } from './view.ts';

/**
 * What a view found, as the inside of a JSON object: `"result":…,"warnings":[…]` in UTF-8. A byte array among the properties of the
 * result is a text in UTF-8: code that a parser gives as bytes becomes JSON without being made a string of characters first.
 */
export function toMembers({ result, warnings }: ViewOutput): Uint8Array {
  const after = `,"warnings":${JSON.stringify(warnings)}`;
  if (!holdsBytes(result)) return new TextEncoder().encode(`"result":${JSON.stringify(result ?? null)}${after}`);
  const properties = Object.entries(result)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${json(name)}:${value instanceof Uint8Array ? quote(value) : json(value)}`);
  return Buffer.from(`"result":{${properties.join(',')}}${inBytes(after)}`, 'latin1');
}

function holdsBytes(result: unknown): result is object {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return false;
  return Object.values(result).some((value) => value instanceof Uint8Array);
}

/** A text whose every character stands for a byte of the given one in UTF-8. */
function inBytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function json(value: unknown): string {
  return inBytes(JSON.stringify(value));
}

/** A text as a JSON string (RFC 8259 §7). Only ASCII is escaped, so it may be done with characters that stand for bytes. */
function quote(utf8: Uint8Array): string {
  const bytes = Buffer.from(utf8.buffer, utf8.byteOffset, utf8.byteLength);
  if (!isUtf8(bytes)) return json(new TextDecoder().decode(bytes));
  const text = bytes.toString('latin1');
  return CONTROLS.test(text) ? JSON.stringify(text) : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROLS = /[\x00-\x1f]/;
