import { builtinDrivers } from 'unstorage';
import { readSize, type Setting, text, ValueFault } from './values.ts';

/** `CACHE_URL` taken apart. */
export interface CacheLocation {
  /** An unstorage driver, `redis`, or `memory` for nothing behind memory. */
  readonly driver: string;
  /** The folder of `fs:`, the address of `redis:`. */
  readonly address: string;
  /** Options of another driver, as its documentation names them. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** How much may be held in memory; undefined for what fits this machine. */
  readonly memoryBytes: number | undefined;
  /** How much a backend that expires nothing may hold. */
  readonly diskBytes: number | undefined;
}

const REDIS = /^(rediss?|valkeys?|redis\+unix|redis\+tls\+unix|valkey\+unix):/;

/** A text that {@link parseCacheUrl} can read. */
export function cacheUrl(options: {
  readonly env: string;
  readonly default: string;
  readonly description: string;
}): Setting<string> {
  return {
    ...text(options),
    read(value) {
      parseCacheUrl(value);
      return value;
    },
  };
}

/** @throws ValueFault when it names no place for a cache. */
export function parseCacheUrl(value: string): CacheLocation {
  const [, scheme, rest = '', search = ''] = /^([a-z][a-z0-9+-]*):([^?]*)(?:\?(.*))?$/i.exec(value) ?? [];
  if (scheme === undefined) throw new ValueFault('must be memory:, fs:PATH, redis://HOST:PORT or NAME:?option=value');
  const params = new URLSearchParams(search);
  const sizeOf = (name: string) => {
    const size = params.get(name);
    params.delete(name);
    return size === null ? undefined : readSize(size);
  };
  const bounds = { memoryBytes: sizeOf('memory'), diskBytes: sizeOf('disk') };

  if (REDIS.test(value)) {
    const query = params.size > 0 ? `?${params}` : '';
    return { driver: 'redis', address: `${scheme}:${rest}${query}`, options: {}, ...bounds };
  }
  const driver = scheme.toLowerCase();
  if (driver === 'fs' || driver === 'fs-lite') {
    if (rest === '') throw new ValueFault('must name a folder after fs:');
    return { driver: 'fs', address: rest.replace(/^\/\/(?=\/)/, ''), options: {}, ...bounds };
  }
  if (!Object.hasOwn(builtinDrivers, driver)) {
    throw new ValueFault('must begin with memory:, fs:, redis: or the name of an unstorage driver');
  }
  const options = Object.fromEntries([...params].map(([name, option]) => [name, toOption(option)]));
  return { driver, address: rest, options, ...bounds };
}

function toOption(value: string): string | number | boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
}
