import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Caller } from '../../kernel/caller.ts';
import { LruMap } from '../../kernel/lru.ts';
import { requestProblems, serverProblems } from '../../kernel/problems.ts';
import type { DataCache } from '../../ports/cache.ts';
import type { ChildPool } from '../../ports/child-pool.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Fetcher } from '../../ports/fetcher.ts';
import type { RateLimiter } from '../../ports/rate-limiter.ts';
import type { Language, ParseJob, ParseResult, Warning } from './job.ts';
import { mediaType } from './media-type.ts';
import { packResult, unpackResult } from './packed-result.ts';
import { parseProblems } from './problems.ts';
import { type BodyRequest, type Faulty, readBody, readTexts } from './read-request.ts';

export interface ParseServiceOptions {
  readonly pool: ChildPool<ParseJob, ParseResult>;
  /** Where answers are kept; nowhere when there is none. */
  readonly cache: Pick<DataCache, 'get'> | null;
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  /** Hears how each job ended. */
  readonly onJob?: (language: Language, outcome: 'done' | Fatal, seconds: number) => void;
  /** Most bytes of source. */
  readonly maxBytes: number;
  /** `null` while fetching is off. */
  readonly fetcher: Fetcher | null;
  /** The content of a file that the caller may read; null when there is none, `tooLarge` instead of more than `maxBytes`. */
  readonly readFile: (caller: Caller | null, id: string, maxBytes: number) => Promise<FoundFile | null>;
}

type FoundFile = { readonly bytes: Uint8Array; readonly type: string } | { readonly tooLarge: true };

/** A body as it came. */
export interface SentBody {
  readonly bytes: Uint8Array;
  readonly contentType: string | null;
  readonly query: Readonly<Record<string, string>>;
}

/** A source and where it is from. */
export type LocatedSource = Pick<ParseJob, 'bytes' | 'contentType' | 'url'>;

/** An answer as values. */
export interface ParsedView {
  readonly view: string;
  readonly result: unknown;
  readonly warnings: readonly Warning[];
}

/** An answer: `members` is JSON for the inside of an object. */
export interface ParseAnswer {
  readonly view: string;
  readonly members: Uint8Array;
  readonly isCached: boolean;
}

export type ParseService = ReturnType<typeof createParseService>;

/** How long one source may be worked on. */
const DEADLINE_MS = 10_000;
/** Part of every key: rises when the same source gets another answer. */
const FORMAT = 3;
/** How long an answer is kept; it never gets wrong, so this is for the room it takes. */
const KEPT_SECONDS = 7 * 24 * 3600;
/** How long somebody waits for an answer, the queue included. */
const PATIENCE_SECONDS = 60;
/** A JSON body up to this size is read here, a larger one by the child. */
const SMALL_BYTES = 64 * 1024;
/** Sources that cost a child its life are not tried again for so long. */
const KILLER_MS = 60_000;
/** How many children one caller may cost. */
const KILL_POLICY = { name: 'parse-failures', count: 10, windowSeconds: 60 };

/** Looks at sources: in a child, once for each source and question. */
export function createParseService(options: ParseServiceOptions) {
  const { pool, cache, clock, limiter, maxBytes, fetcher, readFile, onJob } = options;
  const killers = new LruMap<string, { readonly until: number; readonly problem: Fatal }>(1_000);

  const read = async (job: ParseJob, callerId: string): Promise<ParseAnswer> => {
    let known: string | null = null;
    /** Megabytes take milliseconds to hash: not before somebody asks. */
    const key = () => {
      known ??= keyOf(job);
      return known;
    };
    const killer = killers.size > 0 ? killers.get(key()) : undefined;
    if (killer && killer.until > clock.now()) throw parseProblems.create(killer.problem);
    let isCached = true;
    const load = ({ signal }: { signal?: AbortSignal } = {}) => {
      isCached = false;
      return ask(job, key, callerId, signal);
    };
    const result = await (cache ? throughCache(cache, key(), load) : load());
    if (result.status === 'refused') throw toProblem(result);
    return { view: result.view, members: result.members, isCached };
  };

  const ask = async (
    job: ParseJob,
    key: () => string,
    callerId: string,
    signal?: AbortSignal,
  ): Promise<ParseResult> => {
    const { allowed, retryAfterSeconds } = limiter.take(KILL_POLICY, callerId);
    if (!allowed) throw requestProblems.create('rate-limited', { retryAfterSeconds });
    const askedAt = performance.now();
    const outcome = await pool.run(job, { deadlineMs: DEADLINE_MS, signal }).catch((error: unknown) => {
      limiter.giveBack(KILL_POLICY, callerId);
      // Nobody waits any more; should somebody have come just now, they may ask again.
      if (signal?.aborted) throw serverProblems.create('busy', { retryAfterSeconds: 1, cause: error });
      throw error;
    });
    onJob?.(
      job.language,
      outcome.status === 'done' ? 'done' : FATAL[outcome.status],
      (performance.now() - askedAt) / 1000,
    );
    if (outcome.status === 'done') {
      limiter.giveBack(KILL_POLICY, callerId);
      return outcome.result;
    }
    const problem = FATAL[outcome.status];
    killers.set(key(), { until: clock.now() + KILLER_MS, problem });
    throw parseProblems.create(problem);
  };

  const locate = async (found: BodyRequest, language: Language, caller: Caller): Promise<ParseJob> => {
    const { request, source, fileId, url } = found;
    const job = { language, request, query: {}, maxBytes };
    if (source !== null) return { ...job, bytes: new TextEncoder().encode(source), contentType: UTF_8, url: null };
    if (fileId !== null) {
      const file = await readFile(caller, fileId, maxBytes);
      if (!file) throw parseProblems.create('source-not-found');
      if ('tooLarge' in file) throw parseProblems.create('too-large');
      return { ...job, bytes: file.bytes, contentType: file.type, url: null };
    }
    if (!fetcher) throw parseProblems.create('fetch-off');
    const fetched = await fetcher.fetch(url as string, { maxBytes });
    return { ...job, bytes: fetched.bytes, contentType: fetched.contentType, url: fetched.url };
  };

  return {
    /** Reads what a request brought. */
    async readSent(language: Language, body: SentBody, caller: Caller): Promise<ParseAnswer> {
      const { bytes, contentType, query } = body;
      if (mediaType(contentType) === 'application/json' && bytes.byteLength <= SMALL_BYTES) {
        return read(await locate(readSmall(language, bytes), language, caller), caller.id);
      }
      return read({ language, bytes, contentType, url: null, request: null, query, maxBytes }, caller.id);
    },

    /** Reads a source that is there already, with options as a query would give them. */
    async readTexts(
      language: Language,
      source: LocatedSource,
      texts: Readonly<Record<string, string>>,
      callerId: string,
    ) {
      return read({ ...source, language, request: valid(readTexts(language, texts)), query: {}, maxBytes }, callerId);
    },

    /** Reads a source for code of the house: what the views show as plain values. */
    async readFor(language: Language, source: string, question: object, callerId: string): Promise<ParsedView> {
      const { request } = valid(readBody(language, { ...question, source }));
      const located = { bytes: new TextEncoder().encode(source), contentType: UTF_8, url: null };
      const { view, members } = await read({ ...located, language, request, query: {}, maxBytes }, callerId);
      return { view, ...(JSON.parse(`{${new TextDecoder().decode(members)}}`) as Omit<ParsedView, 'view'>) };
    },
  };
}

/** The result of a load, or one that is kept. Whoever has it loaded has it before it is kept: that takes copies and a checksum. */
function throughCache(
  cache: Pick<DataCache, 'get'>,
  key: string,
  load: (context: { signal: AbortSignal }) => Promise<ParseResult>,
): Promise<ParseResult> {
  const loaded = Promise.withResolvers<ParseResult>();
  const kept = cache.get(key, { ttl: KEPT_SECONDS, hardTimeout: PATIENCE_SECONDS }, async (context) => {
    const result = await load(context);
    loaded.resolve(result);
    await setImmediate();
    return packResult(result);
  });
  return Promise.race([loaded.promise, kept.then(unpackResult)]);
}

const UTF_8 = 'text/plain; charset=utf-8';
type Fatal = 'too-slow' | 'too-much-memory' | 'crashed';
const FATAL = { late: 'too-slow', 'too-much-memory': 'too-much-memory', crashed: 'crashed' } as const;

function readSmall(language: Language, bytes: Uint8Array): BodyRequest {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw requestProblems.create('malformed-json', { cause: error });
  }
  return valid(readBody(language, body));
}

/** @throws `request/invalid` */
function valid<T extends object>(read: T | Faulty): T {
  if ('faults' in read) throw requestProblems.create('invalid', { faults: read.faults });
  return read;
}

/** A function of everything that the answer depends on. */
function keyOf({ bytes, ...rest }: ParseJob): string {
  const hash = createHash('sha256');
  hash.update(`${FORMAT} ${JSON.stringify(rest)}\n`);
  return hash.update(bytes).digest('hex');
}

function toProblem({ problem, detail, faults }: Extract<ParseResult, { status: 'refused' }>) {
  const options = { ...(detail === undefined ? {} : { detail }), ...(faults ? { faults } : {}) };
  switch (problem) {
    case 'invalid-request':
      return requestProblems.create('invalid', options);
    case 'malformed-json':
      return requestProblems.create('malformed-json');
    case 'malformed-body':
      return requestProblems.create('malformed', { detail: 'The form cannot be read.' });
    default:
      return parseProblems.create(problem, options);
  }
}
