/**
 * Kinds of setting: how a text from the environment becomes a value. A reader throws a {@link ValueFault} whose message
 * says what is expected; it never repeats the text, which may be a secret.
 */

export class ValueFault extends Error {}

export interface Setting<Value = unknown> {
  /** Environment variables that carry it, most wanted first. */
  readonly env: readonly [string, ...string[]];
  readonly description: string;
  /** Reads a non-empty text. */
  readonly read: (text: string) => Value;
  /** The default as it would be written, for documentation; `undefined` when there is none. */
  readonly defaultText: string | undefined;
  /** Masked wherever settings are shown, redacted in logs. */
  readonly isSecret: boolean;
  /** Set when this version reads the setting but has nothing yet that obeys it. */
  readonly isPlanned: boolean;
}

interface SettingOptions<Default extends string | undefined> {
  readonly env: string | readonly [string, ...string[]];
  readonly default?: Default;
  readonly description: string;
  readonly isSecret?: boolean;
  readonly isPlanned?: boolean;
}

/** A value that is there when a default is, else one that may be missing. */
type Known<Value, Default> = Default extends string ? Value : Value | undefined;

function setting<Value, Default extends string | undefined>(
  options: SettingOptions<Default>,
  read: (text: string) => Value,
): Setting<Known<Value, Default>> {
  return {
    env: typeof options.env === 'string' ? [options.env] : options.env,
    description: options.description,
    read: read as (text: string) => Known<Value, Default>,
    defaultText: options.default,
    isSecret: options.isSecret ?? false,
    isPlanned: options.isPlanned ?? false,
  };
}

export function text<Default extends string | undefined = undefined>(
  options: SettingOptions<Default> & { readonly minLength?: number; readonly pattern?: RegExp },
) {
  const { minLength = 0, pattern } = options;
  return setting(options, (value) => {
    if (pattern && !pattern.test(value)) throw new ValueFault('has not the right form');
    if (value.length < minLength) throw new ValueFault(`needs at least ${minLength} characters`);
    return value;
  });
}

export function integer<Default extends string | undefined = undefined>(
  options: SettingOptions<Default> & { readonly min: number; readonly max: number },
) {
  const { min, max } = options;
  return setting(options, (value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) {
      throw new ValueFault(`must be a whole number from ${min} to ${max}`);
    }
    return number;
  });
}

/** Bytes, written as a number with an optional `KiB`, `MiB`, `GiB` or `TiB`. */
export function size<Default extends string | undefined = undefined>(options: SettingOptions<Default>) {
  return setting(options, readSize);
}

/** @throws ValueFault when it is no size. */
export function readSize(value: string): number {
  const match = /^(\d+)\s*(B|KiB|MiB|GiB|TiB)?$/i.exec(value);
  const bytes = match ? Number(match[1]) * SIZE_UNITS[(match[2] ?? 'b').toLowerCase() as keyof typeof SIZE_UNITS] : -1;
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new ValueFault('must be a size such as 512KiB, 16MiB or 5GiB');
  return bytes;
}

const SIZE_UNITS = { b: 1, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 };

export interface Rate {
  readonly count: number;
  readonly windowSeconds: number;
}

/** `COUNT/SECONDS`, or `off`, which reads as `null`. */
export function rate<Default extends string | undefined = undefined>(options: SettingOptions<Default>) {
  return setting(options, (value): Rate | null => {
    if (value === 'off') return null;
    const match = /^(\d{1,9})\/(\d{1,6})$/.exec(value);
    const [count, windowSeconds] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
    if (count < 1 || windowSeconds < 1) throw new ValueFault('must be COUNT/SECONDS, such as 1200/60, or off');
    return { count, windowSeconds };
  });
}

export function oneOf<const Choice extends string, Default extends string | undefined = undefined>(
  options: SettingOptions<Default> & { readonly choices: readonly Choice[] },
) {
  return setting(options, (value): Choice => {
    if (!(options.choices as readonly string[]).includes(value)) {
      throw new ValueFault(`must be one of ${options.choices.join(', ')}`);
    }
    return value as Choice;
  });
}

/** A comma list; blanks around items and empty items are dropped. */
export function list<Item = string, Default extends string | undefined = undefined>(
  options: SettingOptions<Default> & { readonly item?: (text: string) => Item },
) {
  const { item = (value: string) => value as Item } = options;
  return setting(options, (value): readonly Item[] =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map(item),
  );
}

/** A file or folder, absolute or relative to the working directory. */
export function path<Default extends string | undefined = undefined>(options: SettingOptions<Default>) {
  return setting(options, (value) => {
    if (value.includes('\0')) throw new ValueFault('must be a path');
    return value;
  });
}

/** An absolute URL with one of the given schemes (`http:`). */
export function url<Default extends string | undefined = undefined>(
  options: SettingOptions<Default> & { readonly schemes: readonly string[] },
) {
  const { schemes } = options;
  return setting(options, (value) => {
    const parsed = URL.parse(value);
    if (!parsed || !schemes.includes(parsed.protocol)) {
      throw new ValueFault(
        `must be a URL starting with ${schemes.map((scheme) => scheme.replace(/:$/, '')).join(', ')}:`,
      );
    }
    return value;
  });
}
