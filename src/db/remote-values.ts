import type { InArgs, InValue } from '@libsql/core/api';

/** A value on the wire (Hrana 3 specification, "Values"). Integers are text, because JSON numbers are not exact. */
export type WireValue =
  | { readonly type: 'null' }
  | { readonly type: 'integer'; readonly value: string }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'blob'; readonly base64: string };

/**
 * Arguments by position, with the storage classes that the embedded engine would give them.
 * @throws TypeError for named arguments and for what SQLite has no value for.
 */
export function toWireArgs(args: InArgs | undefined): WireValue[] {
  if (args === undefined) return [];
  if (!Array.isArray(args)) throw new TypeError('named arguments are not offered');
  return args.map(toWire);
}

const MAX_INTEGER = 2n ** 63n - 1n;
const MIN_INTEGER = -(2n ** 63n);

function toWire(value: InValue | undefined): WireValue {
  if (value === null || value === undefined) return { type: 'null' };
  if (typeof value === 'string') return { type: 'text', value };
  if (typeof value === 'boolean') return { type: 'integer', value: value ? '1' : '0' };
  if (typeof value === 'number') return numberToWire(value);
  if (typeof value === 'bigint') {
    if (value > MAX_INTEGER || value < MIN_INTEGER) throw new TypeError('the integer does not fit into 64 bits');
    return { type: 'integer', value: String(value) };
  }
  if (value instanceof Date) return numberToWire(value.valueOf());
  if (value instanceof ArrayBuffer) return { type: 'blob', base64: Buffer.from(value).toString('base64') };
  if (ArrayBuffer.isView(value)) {
    return {
      type: 'blob',
      base64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
    };
  }
  throw new TypeError('only null, text, numbers, booleans, dates and bytes can be given to the database');
}

function numberToWire(value: number): WireValue {
  // SQLite stores NaN as NULL (https://sqlite.org/c3ref/bind_blob.html).
  if (Number.isNaN(value)) return { type: 'null' };
  if (!Number.isFinite(value)) throw new TypeError('infinity cannot be sent to a remote database');
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return { type: 'integer', value: String(value) };
  return { type: 'float', value };
}

/** Integers past 2^53 lose their last digits, as they do with the embedded engine. */
export function fromWire(value: WireValue): unknown {
  switch (value.type) {
    case 'null':
      return null;
    case 'integer':
      return Number(value.value);
    case 'float':
    case 'text':
      return value.value;
    case 'blob':
      return new Uint8Array(Buffer.from(value.base64, 'base64'));
  }
}
