import type { CacheEntry } from '../../ports/cache.ts';
import type { Lifetime } from './http-freshness.ts';
import type { StoredHeaders } from './http-headers.ts';

/** What is kept of an answer beside its content. Times in milliseconds since the epoch. */
export interface AnswerMeta extends Record<string, unknown> {
  readonly kind: 'answer';
  /** The cache key: scheme, authority, path and query. */
  readonly url: string;
  readonly status: number;
  readonly headers: StoredHeaders;
  /** Request fields that chose this answer, lower case, sorted (RFC 9111 §4.1). */
  readonly vary: readonly string[];
  readonly receivedAt: number;
  /** Seconds old when it came (RFC 9111 §4.2.3). */
  readonly initialAge: number;
  readonly lifetime: Lifetime;
  readonly staleness: Staleness;
  /** Requests with `Authorization` may have it, too (RFC 9111 §3.5). */
  readonly isForAuthorized: boolean;
  /** Made by us over the content, for clients alone, where the origin sent no validator. */
  readonly ownEtag: string | null;
}

/** What stands under the key of a URL whose answers vary. */
export interface VariantsMeta extends Record<string, unknown> {
  readonly kind: 'variants';
  /** Part of the variants' keys, so that those of a forgotten list are out of reach. */
  readonly generation: string;
  /** The sets of request fields that chose answers, the latest first. */
  readonly varies: readonly (readonly string[])[];
  /** Keys of the variants, the latest first. */
  readonly keys: readonly string[];
}

export type HttpMeta = AnswerMeta | VariantsMeta;

/** A stored answer. */
export type HttpEntry = CacheEntry<AnswerMeta>;

/** How long after its freshness an answer may still be used, in seconds. */
export interface Staleness {
  /** While it is renewed behind the answer (RFC 5861 §3). */
  readonly whileRevalidate: number;
  /** When the origin answers with an error (RFC 5861 §4). */
  readonly ifError: number;
  /** When the origin cannot be reached at all (RFC 9111 §4.2.4). */
  readonly ifUnreachable: number;
  /** Every use needs the origin's word (RFC 9111 §5.2.2.4). */
  readonly isAlwaysRevalidated: boolean;
}

/** The age of an entry, in seconds (RFC 9111 §4.2.3). */
export function ageOf({ initialAge, receivedAt }: AnswerMeta, now: number): number {
  return initialAge + Math.max(0, now - receivedAt) / 1000;
}
