import { createHash } from 'node:crypto';
import type { Allowance } from '../../kernel/allowance.ts';
import type { Clock } from '../../ports/clock.ts';
import type { FetchOrigin, HttpCacheRule } from '../../ports/http-cache.ts';
import type { AnswerMeta, HttpEntry } from './http-entry.ts';
import { initialAge } from './http-freshness.ts';
import { mergeNotModified, TAG_FIELDS, toStoredHeaders } from './http-headers.ts';
import { toFill } from './http-request.ts';
import { judgeReuse, mayStandIn } from './http-reuse.ts';
import { type SharedBody, shareBody } from './http-shared-body.ts';
import type { HttpStore } from './http-store.ts';
import { judgeStoring, mayShareAuthorized } from './http-storing.ts';
import { cacheControlOf } from './http-targeted-control.ts';

/** What came of asking the origin. */
export type FillOutcome =
  /** The stored answer, confirmed or kept in place of a failure. */
  | { readonly kind: 'entry'; readonly entry: HttpEntry; readonly isStale: boolean; readonly status: number | null }
  /** An answer to be stored, while it comes. */
  | {
      readonly kind: 'coming';
      readonly response: Response;
      readonly reason: string;
      readonly meta: AnswerMeta;
      /** Fields of the request that it answers. */
      readonly asker: Headers;
      readonly body: SharedBody;
      /** What `Content-Length` says: how long a reader who comes late may have to wait. `null` when it says nothing. */
      readonly declaredBytes: number | null;
      readonly stored: Promise<HttpEntry | null>;
    }
  /** An answer that is for the one who asked. */
  | { readonly kind: 'private'; readonly response: Response; readonly reason: string };

export interface FillQuestion {
  readonly url: string;
  readonly request: Request;
  readonly rule: HttpCacheRule;
  readonly fetchOrigin: FetchOrigin;
  /** The answer that is to be renewed. */
  readonly stored: HttpEntry | null;
}

export interface FillOptions {
  readonly store: HttpStore;
  readonly clock: Clock;
  /** Largest content that is stored. */
  readonly maxBytes: number;
  /** How long the origin may be silent within its answer. */
  readonly silenceMs: number;
  readonly allowance: Allowance;
}

const MAX_TAGS = 64;
const SERVER_ERRORS = new Set([500, 502, 503, 504]);

/**
 * Asks the origin once and stores what may be stored.
 * @throws what the origin rejects with, when nothing stored may stand in.
 */
export async function fill(question: FillQuestion, options: FillOptions): Promise<FillOutcome> {
  const { url, request, rule, fetchOrigin, stored } = question;
  const { store, clock } = options;
  const begunAt = store.begin();
  const requestedAt = clock.now();
  const outgoing = toFill(request, stored);
  const standIn = (failure: 'error' | 'unreachable', status: number | null): FillOutcome | null => {
    if (!stored || !mayStandIn(stored, judgeReuse(stored, clock.now()).ttl, failure)) return null;
    return { kind: 'entry', entry: stored, isStale: true, status };
  };

  let response: Response;
  try {
    response = await fetchOrigin(outgoing);
  } catch (error) {
    const instead = standIn('unreachable', null);
    if (!instead) throw error;
    return instead;
  }
  const receivedAt = clock.now();

  if (SERVER_ERRORS.has(response.status)) {
    const instead = standIn('error', response.status);
    if (instead) {
      discard(response);
      return instead;
    }
  }
  const toMeta = (
    status: number,
    headers: Headers,
    ownEtag: string | null,
  ): { readonly meta: AnswerMeta | null; readonly reason: string } => {
    const isAuthorized = request.headers.has('authorization');
    const verdict = judgeStoring({ rule, isAuthorized, status, headers, receivedAt });
    if (!verdict.isStorable) return { meta: null, reason: verdict.reason };
    const meta: AnswerMeta = {
      kind: 'answer',
      url,
      status,
      headers: toStoredHeaders(headers, receivedAt),
      vary: verdict.vary,
      receivedAt,
      initialAge: initialAge(headers, requestedAt, receivedAt),
      lifetime: verdict.lifetime,
      staleness: verdict.staleness,
      isForAuthorized: mayShareAuthorized(cacheControlOf(headers)),
      ownEtag,
    };
    return { meta, reason: verdict.reason };
  };

  if (response.status === 304 && stored) {
    discard(response);
    const headers = new Headers(mergeNotModified(stored.meta.headers, toStoredHeaders(response.headers, receivedAt)));
    const age = response.headers.get('age');
    if (age !== null) headers.set('age', age);
    const { meta } = toMeta(stored.meta.status, headers, stored.meta.ownEtag);
    if (!meta) {
      await store.drop(url);
      return {
        kind: 'entry',
        entry: { ...stored, meta: { ...stored.meta, headers: toStoredHeaders(headers, receivedAt) } },
        isStale: false,
        status: 304,
      };
    }
    const draft = { meta, body: stored.body as Uint8Array<ArrayBuffer>, tags: stored.tags };
    const kept = await store.keep(draft, request.headers, begunAt);
    return { kind: 'entry', entry: kept ?? { ...stored, meta }, isStale: false, status: 304 };
  }

  const { meta, reason: judgement } = toMeta(response.status, response.headers, null);
  const declared = declaredBytes(response);
  const refuse = (reason: string): FillOutcome => {
    // The origin has changed its mind; what it said before is not to be given any more.
    if (stored && !SERVER_ERRORS.has(response.status)) void store.drop(url);
    return { kind: 'private', response, reason };
  };
  if (!meta) return refuse(judgement);
  if (declared !== null && declared > options.maxBytes) return refuse('it is larger than what is stored');
  if (declared !== null && !options.allowance.take(declared)) return refuse('too much is being stored already');

  const body = shareBody(response.body ?? emptyStream(), {
    maxBytes: options.maxBytes,
    silenceMs: options.silenceMs,
    clock,
    allowance: options.allowance,
    reservedBytes: declared ?? 0,
  });
  const stores = body.whole.then(async (bytes) => {
    // A length that does not hold makes what came worthless.
    if (bytes === null || (declared !== null && response.body !== null && bytes.byteLength !== declared)) return null;
    const draft = { meta: withOwnEtag(meta, bytes), body: bytes, tags: tagsOf(response.headers) };
    return store.keep(draft, request.headers, begunAt);
  });
  return {
    kind: 'coming',
    response,
    reason: judgement,
    meta,
    asker: request.headers,
    body,
    declaredBytes: declared,
    stored: stores,
  };
}

/** `Content-Length` when the answer has one; 0 where there is no content. */
function declaredBytes(response: Response): number | null {
  if (response.body === null) return 0;
  const field = response.headers.get('content-length');
  return field !== null && /^\d{1,15}$/.test(field) ? Number(field) : null;
}

/** Gives clients something to ask by where the origin gave nothing: PHP pages seldom have a validator. */
function withOwnEtag(meta: AnswerMeta, body: Uint8Array): AnswerMeta {
  if (meta.status !== 200 || 'etag' in meta.headers || 'last-modified' in meta.headers) return meta;
  const digest = createHash('sha1').update(body).digest('base64url').slice(0, 22);
  return { ...meta, ownEtag: `W/"b-${digest}"` };
}

function tagsOf(headers: Headers): string[] {
  const tags = new Set<string>();
  for (const name of TAG_FIELDS) for (const tag of splitTags(headers.get(name))) tags.add(tag);
  return [...tags].slice(0, MAX_TAGS);
}

/** Tags stand between blanks (`Surrogate-Key`, `xkey`) or commas (`Cache-Tags`). */
export function splitTags(field: string | null): string[] {
  return (field ?? '').split(/[\s,]+/).filter((tag) => tag !== '' && tag.length <= MAX_TAG_LENGTH);
}

const MAX_TAG_LENGTH = 256;

function discard(response: Response): void {
  response.body?.cancel().catch(() => undefined);
}

function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}
