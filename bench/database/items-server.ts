import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { Elysia, t } from 'elysia';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../src/db/migrate.ts';
import { bunPasswordHasher } from '../../src/drivers/bun-password-hasher.ts';
import { startBunServer } from '../../src/drivers/bun-server.ts';
import { jwtSigner } from '../../src/drivers/jwt-signer.ts';
import { memoryRateLimiter } from '../../src/drivers/memory-rate-limiter.ts';
import { pinoLogger } from '../../src/drivers/pino-logger.ts';
import { createEvents } from '../../src/kernel/events.ts';
import { uuidv7 } from '../../src/kernel/ids.ts';
import { createKeyring } from '../../src/kernel/keys.ts';
import { createMetrics } from '../../src/kernel/metrics.ts';
import { requestProblems } from '../../src/kernel/problems.ts';
import { createAuth } from '../../src/modules/auth/index.ts';
import { createAccessLog } from '../../src/modules/logs/access-log.ts';
import { systemClock } from '../../src/ports/clock.ts';
import type { Database } from '../../src/ports/database.ts';
import { createApp } from '../../src/web/app.ts';
import { createClientEnd } from '../../src/web/client-address.ts';
import { createCors } from '../../src/web/cors.ts';
import { createGate } from '../../src/web/gate.ts';
import { guard } from '../../src/web/guard.ts';
import { createHostCheck, refusedResponse } from '../../src/web/hosts.ts';
import { Id, Problem, Timestamp } from '../../src/web/schemas.ts';
import { byId, ITEMS_SCHEMA, insertion, type items } from './items.ts';

/** The house with one more room, as somebody's application would have it: rows that their owner creates and reads. */

const { PORT, DATA_DIR = '.', BUNKHOUSE_SECRET = '' } = process.env;
/** High enough that every request is counted and none is refused. */
const UNREACHED_RATE = { count: 100_000_000, windowSeconds: 60 };

const ItemSchema = t.Object({ id: Id, ownerId: Id, title: t.String(), body: t.String(), createdAt: Timestamp });
const NewItem = t.Object({ title: t.String({ minLength: 1, maxLength: 200 }), body: t.String({ maxLength: 10_000 }) });

function itemRoutes(database: Database) {
  const toAnswer = (item: typeof items.$inferSelect) => ({
    ...item,
    createdAt: new Date(item.createdAt).toISOString(),
  });
  return new Elysia({ name: 'items', prefix: '/api/items' })
    .use(guard)
    .post(
      '/',
      async ({ caller, body, set }) => {
        const item = { id: uuidv7(), ownerId: caller.id, ...body, createdAt: systemClock.now() };
        await database.write((tx) => insertion(tx).run(item));
        set.status = 201;
        return toAnswer(item);
      },
      { signedIn: true, body: NewItem, response: { 201: ItemSchema, 422: Problem } },
    )
    .get(
      '/:id',
      async ({ caller, params: { id } }) => {
        const item = await byId(database.read).get({ id });
        if (item?.ownerId !== caller.id) throw requestProblems.create('not-found');
        return toAnswer(item);
      },
      { signedIn: true, params: t.Object({ id: t.String() }), response: { 200: ItemSchema, 404: Problem } },
    );
}

mkdirSync(DATA_DIR, { recursive: true });
const clock = systemClock;
const keys = createKeyring(BUNKHOUSE_SECRET);
const log = await pinoLogger({ level: 'info', isPretty: false, secrets: [BUNKHOUSE_SECRET], redactedFields: [] });
const database = await openEmbeddedDatabase({ name: 'main', path: join(DATA_DIR, 'main.db') });
await migrate(database, loadMigrations());
await database.write(async (tx) => {
  for (const statement of ITEMS_SCHEMA) await tx.run(sql.raw(statement));
});

const onUnexpected = (error: unknown) => log.error({ err: error }, 'a request failed unexpectedly');
const limiter = memoryRateLimiter(clock);
const policies = {
  default: { name: 'default', ...UNREACHED_RATE },
  auth: { name: 'auth', ...UNREACHED_RATE },
};
const issuer = 'bunkhouse';
const auth = createAuth({
  database,
  clock,
  events: createEvents(onUnexpected),
  log,
  hasher: bunPasswordHasher({ concurrency: 2, maxWaiting: 256 }),
  limiter,
  accountPolicy: policies.auth,
  accessTokens: jwtSigner({ key: keys('access-token'), type: 'at+jwt', issuer, audience: 'bunkhouse/api' }),
  cookieTokens: jwtSigner({ key: keys('session-cookie'), type: 'session+jwt', issuer, audience: 'bunkhouse/browser' }),
  successorKey: keys('refresh-successor'),
  serverKey: undefined,
  publisherKey: crypto.randomUUID(),
  admin: null,
  onSetUpOpen: () => undefined,
});
const gate = createGate({
  app: createApp([auth.routes ?? [], itemRoutes(database)].flat(), onUnexpected),
  fallbacks: [],
  identify: auth.identify,
  clientEnd: createClientEnd([]),
  limiter,
  policies,
  cors: createCors([]),
  bodyMaxBytes: 1024 * 1024,
  isProduction: true,
  onAnswer: createAccessLog(log, createMetrics()),
  onUnexpected,
  isDraining: () => false,
});
await auth.start?.();
const server = startBunServer({
  hostname: '127.0.0.1',
  port: Number(PORT),
  isHostAllowed: createHostCheck({ allowed: [], publicUrl: `http://127.0.0.1:${PORT}` }),
  refuse: refusedResponse,
  handle: gate,
});
process.once('SIGTERM', async () => {
  await server.drain();
  await auth.stop?.();
  await database.close();
  log.flush();
  process.exit(0);
});
