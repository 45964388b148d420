import { AddressMap } from '../../kernel/address-map.ts';
import { createAllowance } from '../../kernel/allowance.ts';
import type { CacheSpace } from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';
import type { FetchOrigin, HttpCache, HttpCacheRule } from '../../ports/http-cache.ts';
import { contextOf } from '../../web/context.ts';
import { answerFrom, hasNoContent, isNotModified } from './http-answer.ts';
import type { HttpEntry, HttpMeta } from './http-entry.ts';
import { type FillOutcome, type FillQuestion, fill } from './http-fill.ts';
import type { Lifetime } from './http-freshness.ts';
import { createHits, isPlain } from './http-hit.ts';
import { invalidatedBy } from './http-invalidation.ts';
import { createCacheKeys } from './http-key.ts';
import { httpCacheProblems } from './http-problems.ts';
import { notModified, relay, relayedHeaders } from './http-relay.ts';
import { judgeRequest, wantsStoredOnly } from './http-request.ts';
import { judgeReuse } from './http-reuse.ts';
import { type Forward, type Handling, setCacheStatus } from './http-status.ts';
import { createHttpStore, type Found, type HttpStore } from './http-store.ts';
import { variantOf } from './http-vary.ts';

export interface HttpCacheOptions {
  readonly space: CacheSpace<HttpMeta>;
  readonly clock: Clock;
  readonly randomId: () => string;
  /** Hears of renewals that failed behind an answer. MUST NOT throw. */
  readonly onFault: (error: unknown, url: string) => void;
  readonly limits?: Partial<HttpCacheLimits>;
}

export interface HttpCacheLimits {
  /** Largest content that is stored. */
  readonly maxBodyBytes: number;
  /** What all contents on their way into the store may take together. */
  readonly maxFillBytes: number;
  /** How long somebody waits for another's request before asking alone. */
  readonly followMs: number;
  /** Who follows gets a longer answer while it comes; a shorter one when it is whole, so that nobody is stuck within it. */
  readonly wholeBytes: number;
  /** How long requests for what turned out not to be storable do not wait for each other. */
  readonly hitForMissMs: number;
  /** How long an origin may be silent within an answer that is to be stored, until that is given up. */
  readonly silenceMs: number;
}

const LIMITS: HttpCacheLimits = {
  maxBodyBytes: 8 * 2 ** 20,
  maxFillBytes: 64 * 2 ** 20,
  followMs: 10_000,
  wholeBytes: 2 ** 20,
  hitForMissMs: 60_000,
  silenceMs: 60_000,
};
const MAX_HIT_FOR_MISS = 10_000;
const MAX_SEEN = 2_000;

/** A request to the origin that others may wait for. */
interface Flight {
  readonly outcome: Promise<FillOutcome>;
  /** The answer that it renews. */
  readonly stored: HttpEntry | null;
}

/** What was made of an answer, for those who ask why. */
export interface SeenAnswer {
  readonly rule: HttpCacheRule;
  readonly status: number;
  readonly isStorable: boolean;
  readonly reason: string;
  readonly lifetime: Lifetime | null;
}

/** The cache with what its own operations need beside answering. */
export interface HttpCacheCore extends HttpCache {
  readonly store: HttpStore;
  /** As `handle`, for requests that did not come through the gate. */
  answer(request: Request, url: string, rule: HttpCacheRule, fetchOrigin: FetchOrigin): Response | Promise<Response>;
  /** What was made of the latest answer of a URL that the origin gave; `null` when none is remembered. */
  lastSeen(url: string): SeenAnswer | null;
  /** Resolves when what is being stored for a URL is there, or will not be. */
  settled(url: string): Promise<void>;
}

export function createHttpCache(options: HttpCacheOptions): HttpCacheCore {
  const { space, clock, onFault } = options;
  const limits = { ...LIMITS, ...options.limits };
  const store = createHttpStore(space, options.randomId);
  const hit = createHits(space);
  const keyOf = createCacheKeys();
  const { counts } = space;
  const { maxBodyBytes: maxBytes, silenceMs } = limits;
  const fillOptions = { store, clock, maxBytes, silenceMs, allowance: createAllowance(limits.maxFillBytes) };
  const flights = new Map<string, Flight>();
  /** URLs whose answers are not shared, so that nobody waits for nothing; until when. */
  const hitForMiss = new AddressMap<number>(MAX_HIT_FOR_MISS);
  const seen = new AddressMap<SeenAnswer>(MAX_SEEN);

  return {
    store,
    handle: (request, rule, fetchOrigin) =>
      answer(request, keyOf(request.url, contextOf(request).isSecure), rule, fetchOrigin),
    answer,
    lastSeen: (url) => seen.get(url) ?? null,
    async settled(url) {
      await flights
        .get(url)
        ?.outcome.then((outcome) => (outcome.kind === 'coming' ? outcome.stored : null))
        .catch(() => undefined);
    },
  };

  function answer(
    request: Request,
    url: string,
    rule: HttpCacheRule,
    fetchOrigin: FetchOrigin,
  ): Response | Promise<Response> {
    const bypass = judgeRequest(request, rule);
    if (bypass) return pass(request, fetchOrigin, url, bypass.forward, bypass.detail);
    const found = store.find(url, request.headers);
    return found instanceof Promise
      ? found.then((later) => decide(request, rule, fetchOrigin, url, later))
      : decide(request, rule, fetchOrigin, url, found);
  }

  function decide(
    request: Request,
    rule: HttpCacheRule,
    fetchOrigin: FetchOrigin,
    url: string,
    found: Found,
  ): Response | Promise<Response> {
    const isAuthorized = request.headers.has('authorization');
    if (found.entry) {
      const { entry } = found;
      if (isAuthorized && !entry.meta.isForAuthorized) {
        return pass(request, fetchOrigin, url, 'request', 'authorization');
      }
      const now = clock.now();
      const { use, ttl } = judgeReuse(entry, now);
      if (use !== 'revalidate') {
        if (use === 'fresh') counts.hits++;
        else {
          counts.stale++;
          renew({ url, request, rule, fetchOrigin, stored: entry });
        }
        return isPlain(request, entry.meta.status)
          ? hit(request, entry, now, ttl)
          : answerFrom(entry, request, now, { kind: 'hit', ttl });
      }
      if (wantsStoredOnly(request)) throw httpCacheProblems.create('nothing-stored');
      return ask({ url, request, rule, fetchOrigin, stored: entry }, 'stale', isAuthorized);
    }
    if (wantsStoredOnly(request)) throw httpCacheProblems.create('nothing-stored');
    // The whole may be far larger than the part, and a HEAD has none: neither fills the store.
    if (request.headers.has('range')) return pass(request, fetchOrigin, url, found.reason, 'range');
    if (request.method === 'HEAD') return pass(request, fetchOrigin, url, 'method');
    return ask({ url, request, rule, fetchOrigin, stored: null }, found.reason, isAuthorized);
  }

  /** Asks the origin, or waits for somebody who does. */
  async function ask(question: FillQuestion, forward: Forward, isAuthorized: boolean): Promise<Response> {
    const { url, request, stored } = question;
    counts.misses++;
    const isShared = !isAuthorized && !isHitForMiss(url);
    const name = flightName(question);
    const running = isShared ? flights.get(name) : undefined;
    if (running) {
      const response = await follow(running, request, forward);
      if (response) return response;
    }
    const flight = { outcome: timed(fill(question, fillOptions)), stored };
    if (isShared && !running) launch(name, flight);
    const outcome = await flight.outcome;
    return lead(outcome, question, forward);
  }

  /** Registers a flight until its answer is stored, or is known not to be. */
  function launch(name: string, flight: Flight): void {
    flights.set(name, flight);
    flight.outcome
      .then((outcome) => (outcome.kind === 'coming' ? outcome.stored : null))
      .catch(() => undefined)
      .finally(() => {
        if (flights.get(name) === flight) flights.delete(name);
      });
  }

  /** Renews an entry behind the answer that was given of it. */
  function renew(question: FillQuestion): void {
    const name = flightName(question);
    if (flights.has(name)) return;
    const flight = { outcome: timed(fill(question, fillOptions)), stored: question.stored };
    launch(name, flight);
    flight.outcome.then(
      (outcome) => {
        if (outcome.kind === 'private') outcome.response.body?.cancel().catch(() => undefined);
        else if (outcome.kind === 'coming') outcome.body.leave();
      },
      (error) => onFault(error, question.url),
    );
  }

  async function timed(running: Promise<FillOutcome>): Promise<FillOutcome> {
    const begunAt = performance.now();
    let hasFailed = true;
    try {
      const outcome = await running;
      hasFailed = false;
      return outcome;
    } finally {
      space.loaded((performance.now() - begunAt) / 1000, hasFailed);
    }
  }

  /** What the one who asked gets. */
  async function lead(outcome: FillOutcome, { url, request, rule }: FillQuestion, reason: Forward): Promise<Response> {
    if (outcome.kind === 'entry') return fromEntry(outcome, request, reason, false);
    const { response } = outcome;
    const { status } = response;
    const isStored = outcome.kind === 'coming';
    const lifetime = isStored ? outcome.meta.lifetime : null;
    seen.set(url, { rule, status, isStorable: isStored, reason: outcome.reason, lifetime });
    const handling: Handling = { kind: 'forward', reason, status, isStored };
    if (isStored) hitForMiss.delete(url);
    else if (!request.headers.has('authorization')) hitForMiss.set(url, clock.now() + limits.hitForMissMs);
    const isUnchanged = status === 200 && isNotModified(response.headers, null, request.headers, clock.now());
    if (!isStored) {
      if (!isUnchanged) return relay(response, request, handling);
      response.body?.cancel().catch(() => undefined);
    }
    const headers = relayedHeaders(response.headers, handling);
    if (!isStored || isUnchanged || request.method === 'HEAD' || hasNoContent(status)) {
      if (isStored) outcome.body.leave();
      return isUnchanged ? notModified(headers) : new Response(null, { status, headers });
    }
    const { body } = outcome;
    // What is short is mostly here with its first chunk; bytes are sent with less ado than a stream.
    if (outcome.declaredBytes !== null) await body.begun;
    return new Response(body.complete ?? body.open(), { status, headers });
  }

  /** What somebody gets who waited; `null` when it is not for sharing. */
  async function follow({ outcome: flying }: Flight, request: Request, reason: Forward): Promise<Response | null> {
    const outcome = await unlessLate(flying);
    if (!outcome || outcome.kind === 'private') return null;
    if (outcome.kind === 'entry') {
      counts.coalesced++;
      return fromEntry(outcome, request, reason, true);
    }
    const { meta, body } = outcome;
    if (!body.complete && clock.now() - body.movedAt > limits.followMs) return null;
    const asked = variantOf(meta.vary, request.headers);
    if (asked === null || asked !== variantOf(meta.vary, outcome.asker)) return null;
    const { status } = meta;
    const handling: Handling = { kind: 'forward', reason, status, isCollapsed: true };
    const isLong = outcome.declaredBytes !== null && outcome.declaredBytes > limits.wholeBytes;
    if (isLong && isPlain(request, status) && !body.complete) {
      counts.coalesced++;
      const age = String(Math.floor(meta.initialAge));
      const headers = new Headers({ ...meta.headers, age });
      setCacheStatus(headers, handling);
      return new Response(body.open(), { status, headers });
    }
    const entry = await unlessLate(outcome.stored);
    if (!entry) return null;
    counts.coalesced++;
    return answerFrom(entry, request, clock.now(), handling);
  }

  function fromEntry(
    { entry, isStale, status }: Extract<FillOutcome, { kind: 'entry' }>,
    request: Request,
    reason: Forward,
    isCollapsed: boolean,
  ): Response {
    const now = clock.now();
    if (isStale) {
      counts.stale++;
      const detail = status === null ? 'origin-unreachable' : 'origin-error';
      return answerFrom(entry, request, now, { kind: 'hit', ttl: judgeReuse(entry, now).ttl, detail });
    }
    const fwd = status === null ? {} : { status };
    return answerFrom(entry, request, now, { kind: 'forward', reason, ...fwd, isCollapsed, isStored: !isCollapsed });
  }

  /** Past the store. A success of an unsafe method drops what is stored for what it changed (RFC 9111 §4.4). */
  async function pass(
    request: Request,
    fetchOrigin: FetchOrigin,
    url: string,
    reason: Forward,
    detail?: string,
  ): Promise<Response> {
    const response = await fetchOrigin(request);
    for (const target of invalidatedBy(request.method, response, url)) await store.drop(target);
    const more = detail === undefined ? {} : { detail };
    return relay(response, request, { kind: 'forward', reason, status: response.status, ...more });
  }

  function isHitForMiss(url: string): boolean {
    const until = hitForMiss.get(url);
    return until !== undefined && until > clock.now();
  }

  /** `null` when it takes longer than anybody should wait for another. */
  async function unlessLate<T>(running: Promise<T>): Promise<T | null> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, limits.followMs, null);
    });
    try {
      return await Promise.race([running, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Requests of one flight ask for one answer, as far as is known before it comes. */
function flightName({ url, request, stored }: FillQuestion): string {
  return stored ? `${url}\n${variantOf(stored.meta.vary, request.headers)}` : url;
}
