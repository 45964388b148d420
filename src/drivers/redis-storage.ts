import { type Driver, defineDriver } from 'unstorage';
import { createRedisLink } from './redis-link.ts';

export interface RedisStorageOptions {
  readonly url: string;
  /** Stands before every key, with a colon. */
  readonly base: string;
  readonly onFault: (error: unknown) => void;
}

const SCAN_COUNT = '1000';

/**
 * Redis for unstorage. Bytes go as bytes and not as Base64 text, over the runtime's own client, and while Redis cannot be reached
 * calls fail at once instead of waiting in a queue.
 */
export const redisStorage: (options: RedisStorageOptions) => Driver = defineDriver((options: RedisStorageOptions) => {
  const { url, base, onFault } = options;
  const link = createRedisLink({ url, onFault, onMessage: () => undefined, onChange: () => undefined });
  const keyOf = (key: string) => `${base}:${key}`;
  const set = (key: string, value: Uint8Array, { ttl }: { readonly ttl?: number } = {}) =>
    ttl === undefined
      ? Promise.reject(new Error('what is kept in Redis needs a time to live'))
      : link.setBytes(keyOf(key), value, ttl);

  const scan = async (prefix: string): Promise<string[]> => {
    const pattern = `${keyOf(prefix).replace(/[\\*?[\]]/g, '\\$&')}*`;
    const keys = new Set<string>();
    let cursor = '0';
    do {
      const page = (await link.send('SCAN', [cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT])) as [string, string[]];
      cursor = page[0];
      for (const key of page[1]) keys.add(key.slice(base.length + 1));
    } while (cursor !== '0');
    return [...keys];
  };

  return {
    name: 'redis',
    options,
    hasItem: async (key) => (await link.send('EXISTS', [keyOf(key)])) === 1,
    getItem: async (key) => (await link.send('GET', [keyOf(key)])) as string | null,
    getItemRaw: (key) => link.getBytes(keyOf(key)),
    setItem: (key, value, given) => set(key, new TextEncoder().encode(value), given),
    setItemRaw: (key, value: Uint8Array, given) => set(key, value, given),
    async removeItem(key) {
      await link.send('UNLINK', [keyOf(key)]);
    },
    getKeys: (prefix) => scan(prefix),
    async clear(prefix) {
      const keys = await scan(prefix);
      for (let start = 0; start < keys.length; start += 1000) {
        await link.send('UNLINK', keys.slice(start, start + 1000).map(keyOf));
      }
    },
    dispose: () => link.close(),
  };
});
