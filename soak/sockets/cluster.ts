import { startRedis, type TestRedis } from '../../test/modules/sockets/redis-server.ts';
import { createClient, register } from '../../test/support/client.ts';
import { eventually } from '../../test/support/eventually.ts';
import { freePort } from '../../test/support/free-ports.ts';
import { startServer, type TestServer } from '../../test/support/server.ts';

const SERVER_KEY = 'a-server-key-of-the-soak-that-is-long-enough';

/** Two servers on one database and one Redis, each of which can be killed. */
export interface Cluster {
  /** Addresses that stay the same over restarts. */
  readonly urls: readonly string[];
  readonly redis: TestRedis;
  /** Kills a server at once and starts it again on its port. */
  crash(index: number): Promise<void>;
  /** Cuts every connection to Redis, which goes on. */
  cutLinks(): Promise<void>;
  /** Resolves when every server that runs has found Redis. */
  reunited(): Promise<void>;
  /** Publishes on one server. Rejects when it cannot be known whether it was. */
  publish(url: string, topic: string, data: object): Promise<{ readonly epoch: string; readonly offset: number }>;
  createAccount(email: string): Promise<{ readonly token: string; readonly topic: string }>;
  [Symbol.asyncDispose](): Promise<void>;
}

const PUBLISH_TIMEOUT_MS = 10_000;
const REUNION_MS = 60_000;

export async function startCluster(): Promise<Cluster> {
  const redis = await startRedis();
  const env = {
    SERVER_KEY,
    BUNKHOUSE_SECRET: 'one secret for both, long enough for the settings',
    REDIS_URL: redis.url,
    RATE_LIMIT: 'off',
    RATE_LIMIT_AUTH: 'off',
    LOG_LEVEL: 'warn',
  };
  const servers: TestServer[] = [];
  const environments: Record<string, string>[] = [];
  const start = async (index: number, dataDir?: string) => {
    servers[index] = await startServer({ env: environments[index] ?? {}, ...(dataDir ? { dataDir } : {}) });
  };
  for (const index of [0, 1]) {
    const database = index === 0 ? {} : { DATABASE_URL: `file:${servers[0]?.dataDir}/main.db` };
    environments[index] = { ...env, ...database, PORT: String(await freePort()) };
    await start(index);
  }
  const urls = servers.map(({ url }) => url);

  return {
    urls,
    redis,
    async crash(index) {
      const server = servers[index] as TestServer;
      await server.kill();
      await start(index, server.dataDir);
    },
    async cutLinks() {
      const admin = new Bun.RedisClient(redis.url, { autoReconnect: false });
      for (const kind of ['normal', 'pubsub']) await admin.send('CLIENT', ['KILL', 'TYPE', kind, 'SKIPME', 'yes']);
      admin.close();
    },
    async reunited() {
      const isTogether = async (url: string) => {
        const { text } = await createClient(url)('GET', '/health/ready');
        return text.includes('{"name":"bus","status":"ok"');
      };
      for (const url of urls) await eventually(() => isTogether(url), REUNION_MS);
    },
    async publish(url, topic, data) {
      const response = await fetch(`${url}/api/sockets/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${SERVER_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ topic, data }),
        signal: AbortSignal.timeout(PUBLISH_TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(`publishing was answered with ${response.status}`);
      return (await response.json()) as { epoch: string; offset: number };
    },
    async createAccount(email) {
      const { access_token: token, user } = await register(createClient(urls[0] as string), email);
      return { token, topic: `user.${user.id}` };
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}
