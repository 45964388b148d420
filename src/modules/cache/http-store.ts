import type { CacheSpace, Moment } from '../../ports/cache.ts';
import type { AnswerMeta, HttpEntry, HttpMeta, VariantsMeta } from './http-entry.ts';
import { variantOf } from './http-vary.ts';

/** What is known of a URL: the answer that matches the request, or why there is none. */
export type Found = { readonly entry: HttpEntry } | { readonly entry: null; readonly reason: 'uri-miss' | 'vary-miss' };

/** Answers by URL and, where they vary, by what the request says. */
export interface HttpStore {
  /** A promise only when what lies behind memory has to be asked. Never rejects. */
  find(url: string, headers: Headers): Found | Promise<Found>;
  /** To be taken before the origin is asked. */
  begin(): Moment;
  /** @returns the entry, or `null` when it was not kept: too large, or purged meanwhile. */
  keep(draft: AnswerDraft, headers: Headers, begunAt: Moment): Promise<HttpEntry | null>;
  /** Forgets every answer of a URL. */
  drop(url: string): Promise<boolean>;
  /** Every key under which answers of a URL lie; empty when there are none. */
  keysOf(url: string): Promise<readonly string[]>;
  /** Scheme and authority of what was stored here, the latest last. */
  origins(): readonly string[];
}

export interface AnswerDraft {
  readonly meta: AnswerMeta;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly tags: readonly string[];
}

/** For one URL; beyond it the oldest goes. */
const MAX_VARIANTS = 16;
const MAX_VARIES = 4;
/** An answer with a validator is kept so long after its end, to be asked about again. */
const REVALIDATION_SECONDS = 24 * 3600;
const MISS: Found = { entry: null, reason: 'uri-miss' };
const VARY_MISS: Found = { entry: null, reason: 'vary-miss' };

export function createHttpStore(space: CacheSpace<HttpMeta>, randomId: () => string): HttpStore {
  const findVariant = (url: string, known: VariantsMeta, headers: Headers, from = 0): Found | Promise<Found> => {
    for (const [index, names] of known.varies.entries()) {
      const variant = index < from ? null : variantOf(names, headers);
      if (variant === null) continue;
      const stored = space.get(keyOf(url, known.generation, variant));
      const judgeVariant = (entry: StoredEntry | null) =>
        isAnswer(entry) ? { entry } : findVariant(url, known, headers, index + 1);
      return stored instanceof Promise ? stored.then(judgeVariant) : judgeVariant(stored);
    }
    return VARY_MISS;
  };
  const judge = (url: string, stored: StoredEntry | null, headers: Headers): Found | Promise<Found> => {
    if (stored === null) return MISS;
    return isAnswer(stored) ? { entry: stored } : findVariant(url, stored.meta as VariantsMeta, headers);
  };
  /** A set, in the order of the last use. */
  const origins = new Set<string>();
  const put = ({ meta, body, tags }: AnswerDraft, key: string, begunAt: Moment): HttpEntry | null => {
    const freshUntil = meta.receivedAt + Math.max(0, meta.lifetime.seconds - meta.initialAge) * 1000;
    const draft = { meta, body, tags, freshUntil, staleUntil: freshUntil + afterlifeOf(meta) * 1000 };
    return space.set(key, draft, begunAt) as HttpEntry | null;
  };

  return {
    find(url, headers) {
      const stored = space.get(url);
      return stored instanceof Promise
        ? stored.then((later) => judge(url, later, headers))
        : judge(url, stored, headers);
    },
    begin: () => space.begin(),
    async keep(draft, headers, begunAt) {
      const { url, vary } = draft.meta;
      note(origins, url.slice(0, url.indexOf('/', url.indexOf('://') + 3)));
      if (vary.length === 0) return put(draft, url, begunAt);
      const variant = variantOf(vary, headers);
      if (variant === null) return null;
      const stored = await space.get(url);
      const known = stored?.meta.kind === 'variants' ? stored.meta : null;
      const generation = known?.generation ?? randomId();
      const key = keyOf(url, generation, variant);
      const keys = [key, ...(known?.keys ?? []).filter((other) => other !== key)];
      const signature = vary.join();
      const varies = [vary, ...(known?.varies ?? []).filter((names) => names.join() !== signature)];
      const meta: VariantsMeta = {
        kind: 'variants',
        generation,
        varies: varies.slice(0, MAX_VARIES),
        keys: keys.slice(0, MAX_VARIANTS),
      };
      const entry = put(draft, key, begunAt);
      if (!entry) return null;
      // The list has to outlive every variant in it.
      const lasting = Math.max(entry.staleUntil, stored?.staleUntil ?? 0);
      space.set(url, { meta, body: EMPTY, freshUntil: lasting, staleUntil: lasting }, begunAt);
      for (const forgotten of keys.slice(MAX_VARIANTS)) void space.delete(forgotten);
      return entry;
    },
    drop: (url) => space.delete(url),
    async keysOf(url) {
      const stored = await space.get(url);
      if (!stored) return [];
      return stored.meta.kind === 'variants' ? [url, ...stored.meta.keys] : [url];
    },
    origins: () => [...origins],
  };
}

type StoredEntry = NonNullable<Awaited<ReturnType<CacheSpace<HttpMeta>['get']>>>;

/** With `ALLOWED_HOSTS=*` there may be any number of hosts. */
const MAX_ORIGINS = 1000;

function note(origins: Set<string>, origin: string): void {
  if (origins.has(origin)) return;
  origins.add(origin);
  for (const oldest of origins) {
    if (origins.size <= MAX_ORIGINS) return;
    origins.delete(oldest);
  }
}

const EMPTY = new Uint8Array(0);

/** A URL holds no line break, so no URL is another's variant. */
function keyOf(url: string, generation: string, variant: string): string {
  return `${url}\n${generation}\n${variant}`;
}

function isAnswer(stored: StoredEntry | null): stored is HttpEntry {
  return stored?.meta.kind === 'answer';
}

/** Seconds after its freshness for which an answer may be of use. */
function afterlifeOf({ staleness, headers }: AnswerMeta): number {
  const canBeAskedAbout = 'etag' in headers || 'last-modified' in headers;
  return Math.max(
    staleness.whileRevalidate,
    staleness.ifError,
    staleness.ifUnreachable,
    canBeAskedAbout ? REVALIDATION_SECONDS : 0,
  );
}
