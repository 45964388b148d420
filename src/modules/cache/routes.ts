import { Elysia, t } from 'elysia';
import { requestProblems } from '../../kernel/problems.ts';
import { guard } from '../../web/guard.ts';
import { ListQuery, listOf, oneOf, Problem, Timestamp } from '../../web/schemas.ts';
import { DATA_SPACE } from './data-cache.ts';
import type { CacheService } from './service.ts';

const tags = ['cache'];
const MAX_KEY_LENGTH = 4_096;
const MAX_TARGETS = 1_000;
const MAX_TTL = 30 * 24 * 3_600;
const DEFAULT_TTL = 3_600;

const Key = t.String({ maxLength: MAX_KEY_LENGTH });
const Tag = t.String({ minLength: 1, maxLength: 256 });
const Namespace = t.String({
  pattern: '^[a-z][a-z0-9-]{0,63}$',
  description: 'Whose keys are meant: `data` for values put here, `data-…` for those of one part, `http` for answers.',
  examples: [DATA_SPACE],
});
const Ratio = t.Union([t.Number(), t.Null()], {
  description: 'The part of requests that were spared a load; null before the first.',
});

const Stats = t.Object(
  {
    driver: t.String({ examples: ['memory', 'fs', 'redis'] }),
    backend: oneOf(['none', 'up', 'down']),
    memory: t.Object(
      { entries: t.Integer(), bytes: t.Integer(), maxBytes: t.Integer() },
      { description: 'All that is held in memory: entries of every namespace, and public files.' },
    ),
    hitRatio: Ratio,
    namespaces: t.Array(
      t.Object({
        namespace: t.String(),
        hitRatio: Ratio,
        hits: t.Integer(),
        misses: t.Integer(),
        stale: t.Integer({ description: 'Answered with something stale.' }),
        coalesced: t.Integer({ description: 'Waited for the load of somebody else.' }),
        loads: t.Integer(),
        loadErrors: t.Integer(),
        loadSeconds: t.Number({ description: 'All loads together.' }),
        memoryHits: t.Integer(),
        backendHits: t.Integer(),
        entries: t.Integer({ description: 'In memory.' }),
        bytes: t.Integer(),
        evictions: t.Integer({ description: 'Forgotten for want of memory.' }),
      }),
    ),
  },
  { title: 'CacheStats', description: 'Of this process.' },
);
const listed = {
  key: t.String(),
  namespace: t.String(),
  tags: t.Array(t.String()),
  bytes: t.Integer({ description: 'Of the stored body.' }),
  createdAt: Timestamp,
  freshUntil: Timestamp,
  staleUntil: Timestamp,
};
const Listing = t.Object(listed, { title: 'CacheListing' });
const Entry = t.Object(
  {
    ...listed,
    state: oneOf(['fresh', 'stale']),
    meta: t.Record(t.String(), t.Any(), { description: 'What is kept beside the body.' }),
    value: t.Optional(t.Any({ description: 'The value of a data entry; bytes as Base64.' })),
  },
  { title: 'CacheEntry' },
);
const PutBody = t.Object({
  value: t.Unknown({ description: 'Any JSON.' }),
  ttl: t.Optional(t.Number({ exclusiveMinimum: 0, maximum: MAX_TTL, description: 'Seconds; 3600 unless said.' })),
  tags: t.Optional(t.Array(Tag, { maxItems: 100 })),
});
const PurgeBody = t.Object(
  {
    keys: t.Optional(
      t.Array(Key, { maxItems: MAX_TARGETS, description: 'Keys, and URLs or paths of stored answers.' }),
    ),
    tags: t.Optional(t.Array(Tag, { maxItems: MAX_TARGETS })),
    prefix: t.Optional(t.String({ minLength: 1, maxLength: MAX_KEY_LENGTH })),
    all: t.Optional(t.Boolean()),
    soft: t.Optional(t.Boolean({ description: 'Mark stale instead of removing.' })),
  },
  { description: 'Everything that is named is purged.' },
);
const Purged = t.Object(
  {
    purged: t.Union([t.Integer(), t.Null()], {
      description: 'How many of `keys` there were; null when nothing was counted (tags, prefix, all, soft).',
    }),
  },
  { title: 'Purged' },
);
const ExplainBody = t.Object({
  url: t.String({ minLength: 1, maxLength: MAX_KEY_LENGTH, description: 'A URL or a path of this site.' }),
  headers: t.Optional(t.Record(t.String({ maxLength: 100 }), t.String({ maxLength: 4_096 }), { maxProperties: 50 })),
});
const ExplanationSchema = t.Object(
  {
    url: t.String(),
    rule: t.Union([t.String(), t.Null()], { description: 'The rule that covers it; null when none does.' }),
    mode: t.Union([oneOf(['off', 'respect', 'force']), t.Null()]),
    key: t.Union([t.String(), t.Null()], { description: 'What it is stored under.' }),
    outcome: oneOf(['hit', 'stale', 'miss', 'bypass']),
    isStorable: t.Boolean(),
    freshness: t.Union([
      t.Object({
        lifetimeSeconds: t.Number(),
        ageSeconds: t.Number(),
        source: t.String({ description: 'Where the lifetime comes from.' }),
      }),
      t.Null(),
    ]),
    reason: t.String({ description: 'What decided.' }),
    details: t.Array(t.String(), { description: 'Everything that was looked at.' }),
  },
  { title: 'CacheExplanation' },
);
const WarmBody = t.Object({ urls: t.Array(t.String({ minLength: 1, maxLength: MAX_KEY_LENGTH }), { maxItems: 500 }) });
const WarmReport = t.Object(
  {
    warmed: t.Integer(),
    missed: t.Array(t.String(), { description: 'Those whose answers were not stored.' }),
  },
  { title: 'CacheWarmReport' },
);

/** A look into the cache, and what an admin may do to it. */
export function cacheRoutes(service: CacheService) {
  return new Elysia({ name: 'cache' })
    .use(guard)
    .get('/api/cache/stats', () => service.stats(), {
      admin: true,
      response: { 200: Stats },
      detail: { tags, operationId: 'cacheStats', summary: 'Hits, misses and memory, by namespace' },
    })
    .get(
      '/api/cache/keys',
      async ({ query: { prefix = '', namespace, limit, cursor } }) => {
        const page = await service.list({
          prefix,
          limit: limit as number,
          ...(namespace === undefined ? {} : { space: namespace }),
          ...(cursor === undefined ? {} : { cursor }),
        });
        return {
          items: page.items.map(({ space, ...item }) => toWire({ ...item, namespace: space })),
          nextCursor: page.nextCursor,
        };
      },
      {
        admin: true,
        query: t.Object({
          ...ListQuery.properties,
          prefix: t.Optional(t.String({ maxLength: MAX_KEY_LENGTH })),
          namespace: t.Optional(Namespace),
        }),
        response: { 200: listOf(Listing) },
        detail: {
          tags,
          operationId: 'listCacheKeys',
          summary: 'List entries by prefix of their key',
          description: 'A page may hold fewer entries than asked for and still have a successor.',
        },
      },
    )
    .get(
      '/api/cache/entries/:key',
      async ({ params: { key }, query: { namespace = DATA_SPACE } }) => {
        const entry = await service.find(key, namespace);
        if (!entry) throw requestProblems.create('not-found');
        return toWire(entry);
      },
      {
        admin: true,
        params: t.Object({ key: Key }),
        query: t.Object({ namespace: t.Optional(Namespace) }),
        response: { 200: Entry },
        detail: { tags, operationId: 'getCacheEntry', summary: 'Look at one entry' },
      },
    )
    .put(
      '/api/cache/entries/:key',
      async ({ params: { key }, body: { value, ttl = DEFAULT_TTL, tags: given = [] } }) => {
        // Of a property that may be anything the schema does not say that it must be there.
        if (value === undefined) throw invalid('/value', 'is needed');
        return toWire(await service.put(key, { value, ttl, tags: given }));
      },
      {
        admin: true,
        params: t.Object({ key: Key }),
        body: PutBody,
        response: { 200: Entry, 413: Problem },
        detail: {
          tags,
          operationId: 'putCacheEntry',
          summary: 'Put a value into the data cache',
          description:
            'Only values: a stored HTTP answer that somebody wrote by hand would be a way to poison the cache.',
        },
      },
    )
    .delete(
      '/api/cache/entries/:key',
      async ({ params: { key }, query: { namespace = DATA_SPACE } }) => {
        if (!(await service.delete(key, namespace))) throw requestProblems.create('not-found');
        return new Response(null, { status: 204 });
      },
      {
        admin: true,
        params: t.Object({ key: Key }),
        query: t.Object({ namespace: t.Optional(Namespace) }),
        detail: {
          tags,
          operationId: 'deleteCacheEntry',
          summary: 'Remove one entry',
          responses: { 204: { description: 'It is gone, on every machine.' } },
        },
      },
    )
    .post('/api/cache/purge', async ({ body }) => ({ purged: await service.purge(requireTarget(body)) }), {
      admin: true,
      body: PurgeBody,
      response: { 200: Purged },
      detail: {
        tags,
        operationId: 'purgeCache',
        summary: 'Purge by key, tag, prefix or all of it',
        description: 'On every machine, and ahead of what is being made meanwhile.',
      },
    })
    .post('/api/cache/explain', ({ body: { url, headers = {} } }) => service.explain(url, toHeaders(headers)), {
      admin: true,
      body: ExplainBody,
      response: { 200: ExplanationSchema, 501: Problem },
      detail: {
        tags,
        operationId: 'explainCache',
        summary: 'Say why an answer is cached or not',
        description: 'A dry run: nothing is stored. Asks the upstream once when nothing is known of the URL.',
      },
    })
    .post('/api/cache/warm', ({ body: { urls } }) => service.warm(urls), {
      admin: true,
      body: WarmBody,
      response: { 200: WarmReport, 501: Problem },
      detail: { tags, operationId: 'warmCache', summary: 'Fill the cache with the answers of these URLs' },
    });
}

function toWire<Entry extends { createdAt: number; freshUntil: number; staleUntil: number; tags: readonly string[] }>(
  entry: Entry,
) {
  const { createdAt, freshUntil, staleUntil, tags: given, ...rest } = entry;
  return {
    ...rest,
    tags: [...given],
    createdAt: new Date(createdAt).toISOString(),
    freshUntil: new Date(freshUntil).toISOString(),
    staleUntil: new Date(staleUntil).toISOString(),
  };
}

function requireTarget<Order extends { keys?: unknown; tags?: unknown; prefix?: unknown; all?: boolean }>(
  order: Order,
) {
  if (order.keys || order.tags || order.prefix !== undefined || order.all) return order;
  throw invalid('', 'names none of keys, tags, prefix, all');
}

function invalid(pointer: string, detail: string) {
  return requestProblems.create('invalid', { faults: [{ pointer, detail }] });
}

/** @throws AppError for what is no header. */
function toHeaders(given: Readonly<Record<string, string>>): Headers {
  try {
    return new Headers(given);
  } catch {
    throw invalid('/headers', 'are no HTTP headers');
  }
}
