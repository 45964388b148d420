import { afterAll, beforeAll, describe } from 'bun:test';
import { cacheStoreContract } from '../../contracts/cache-store.ts';
import { hasRedis, startRedis, type TestRedis } from '../sockets/redis-server.ts';
import { backendOf, memoryStore, storesOn, temporaryFolder } from './support.ts';

cacheStoreContract('memory', memoryStore);

cacheStoreContract('files', async () => {
  const folder = await temporaryFolder();
  const stores = await storesOn(() => backendOf('fs', folder.path));
  return {
    ...stores,
    async close() {
      await stores.close();
      await folder[Symbol.asyncDispose]();
    },
  };
});

describe.skipIf(!hasRedis)('with Redis', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  cacheStoreContract('Redis', async () => {
    const client = new Bun.RedisClient(redis.url);
    await client.send('FLUSHALL', []);
    client.close();
    return storesOn(() => backendOf('redis', redis.url));
  });
});
