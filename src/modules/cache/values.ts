/**
 * Values as bytes and back. JSON as it is; beside it Date, Uint8Array, bigint and undefined anywhere. Everything else, a Map or an
 * instance of a class, is refused: it would come back as something else.
 */
export interface EncodedValue {
  readonly body: Uint8Array;
  readonly codec: Codec;
}

/** `json`: plain JSON. `tagged`: JSON whose objects `{"$": [kind, …]}` stand for what JSON has not. `bytes`: the bytes themselves. */
export type Codec = 'json' | 'tagged' | 'bytes';

const MAX_DEPTH = 200;
const TAG = '$';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @throws TypeError for what cannot be kept. */
export function encodeValue(value: unknown): EncodedValue {
  if (value instanceof Uint8Array) return { codec: 'bytes', body: value };
  const isPlain = { yes: true };
  const plain = toPlain(value, isPlain, 0);
  return { codec: isPlain.yes ? 'json' : 'tagged', body: encoder.encode(JSON.stringify(plain)) };
}

/** @returns a value of its own; one of codec `json` is frozen, so that it may be shared. */
export function decodeValue({ body, codec }: EncodedValue): unknown {
  // A copy even of a `Buffer`, whose own `slice` shares its memory.
  if (codec === 'bytes') return new Uint8Array(body);
  const text = decoder.decode(body);
  const plain: unknown = JSON.parse(text);
  return codec === 'json' ? freeze(plain) : fromPlain(plain);
}

export function isCodec(value: unknown): value is Codec {
  return value === 'json' || value === 'tagged' || value === 'bytes';
}

/** JSON that stands for the value. Copies only where there is something that JSON has not. */
function toPlain(value: unknown, isPlain: { yes: boolean }, depth: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return value;
  const tagged = (...content: unknown[]) => {
    isPlain.yes = false;
    return { [TAG]: content };
  };
  if (value === undefined) return tagged('undefined');
  if (typeof value === 'bigint') return tagged('bigint', String(value));
  if (value instanceof Date && !Number.isNaN(value.getTime())) return tagged('date', value.getTime());
  if (value instanceof Uint8Array) return tagged('bytes', Buffer.from(value).toString('base64'));
  if (depth > MAX_DEPTH) throw new TypeError('a value that is cached must not be nested so deeply or contain itself');
  if (Array.isArray(value)) return value.map((item) => toPlain(item, isPlain, depth + 1));
  if (!isPlainObject(value)) throw new TypeError(`a value that is cached must not contain ${nameOf(value)}`);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => [name, toPlain(item, isPlain, depth + 1)] as const);
  // `fromEntries` makes `__proto__` a property like any other.
  const object = Object.fromEntries(entries);
  return Object.hasOwn(object, TAG) ? tagged('object', object) : object;
}

function fromPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (!isPlainObject(value)) return value;
  const content = Object.hasOwn(value, TAG) ? value[TAG] : null;
  if (!Array.isArray(content)) return fromEntries(value);
  const [kind, inside] = content as [string, never];
  switch (kind) {
    case 'undefined':
      return undefined;
    case 'date':
      return new Date(inside);
    case 'bigint':
      return BigInt(inside);
    case 'bytes':
      return new Uint8Array(Buffer.from(inside, 'base64'));
    default:
      return fromEntries(inside);
  }
}

function fromEntries(object: object): object {
  return Object.fromEntries(Object.entries(object).map(([name, item]) => [name, fromPlain(item)]));
}

function freeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) freeze(item);
    Object.freeze(value);
  }
  return value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function nameOf(value: unknown): string {
  if (typeof value === 'number') return 'NaN or Infinity';
  if (typeof value === 'object' && value !== null) return `a ${value.constructor?.name ?? 'strange object'}`;
  return `a ${typeof value}`;
}
