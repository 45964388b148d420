/** The parts in which a repository is gone through: all keys in order, of which each part fits into memory. */
export const SHARDS: readonly string[] = [
  ...Array.from({ length: 256 }, (_, index) => `blobs/${index.toString(16).padStart(2, '0')}/`),
  'databases/',
  'lists/',
  'sealed/',
];

/** Takes ordered items shard by shard. */
export interface ShardReader<T> {
  /** The items of a shard; shards are asked for in their order. */
  take(shard: string): Promise<readonly T[]>;
  end(): Promise<void>;
}

/** @param items in the order of their keys. */
export function shardReader<T extends { readonly key: string }>(items: AsyncIterable<T>): ShardReader<T> {
  const iterator = items[Symbol.asyncIterator]();
  let ahead: T | null = null;
  let isOver = false;
  const peek = async (): Promise<T | null> => {
    if (ahead || isOver) return ahead;
    const { value, done } = await iterator.next();
    if (done) isOver = true;
    else ahead = value;
    return ahead;
  };
  return {
    async take(shard) {
      const taken: T[] = [];
      for (let next = await peek(); next?.key.startsWith(shard); next = await peek()) {
        taken.push(next);
        ahead = null;
      }
      return taken;
    },
    end: async () => void (await iterator.return?.()),
  };
}
