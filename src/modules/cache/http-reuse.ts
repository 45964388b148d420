import { ageOf, type HttpEntry } from './http-entry.ts';

/** What a stored answer is good for right now. */
export interface ReuseVerdict {
  readonly use:
    | 'fresh'
    /** It may be given while it is renewed (RFC 5861 §3). */
    | 'stale-while-revalidate'
    /** The origin has to be asked first (RFC 9111 §4.3). */
    | 'revalidate';
  /** Seconds that it stays fresh; not above 0 when it is stale. */
  readonly ttl: number;
}

/** Judges whether a stored answer may be used without asking (RFC 9111 §4.2). */
export function judgeReuse({ meta, freshUntil }: HttpEntry, now: number): ReuseVerdict {
  const { lifetime, staleness } = meta;
  const left = lifetime.seconds - ageOf(meta, now);
  const ttl = freshUntil === PURGED_SOFTLY ? Math.min(left, 0) : left;
  if (staleness.isAlwaysRevalidated) return { use: 'revalidate', ttl };
  if (ttl > 0) return { use: 'fresh', ttl };
  const isCovered = staleness.whileRevalidate > 0 && -ttl <= staleness.whileRevalidate;
  return { use: isCovered ? 'stale-while-revalidate' : 'revalidate', ttl };
}

/** Why it was judged so, for people. */
export function reasonOf({ meta, freshUntil }: HttpEntry, { use }: ReuseVerdict): string {
  const { lifetime, staleness } = meta;
  if (staleness.isAlwaysRevalidated) return 'no-cache asks the origin at each use';
  if (use === 'fresh') return `${lifetime.source} says ${lifetime.seconds} s`;
  const why = freshUntil === PURGED_SOFTLY ? 'it was purged softly' : 'its lifetime is over';
  return use === 'revalidate' ? why : `${why}, and stale-while-revalidate covers it`;
}

/** What the store says of the freshness of what was purged softly. */
const PURGED_SOFTLY = 0;

/** Whether a stale answer may stand in for an origin that fails (RFC 5861 §4) or cannot be reached (RFC 9111 §4.2.4). */
export function mayStandIn({ meta }: HttpEntry, ttl: number, failure: 'error' | 'unreachable'): boolean {
  const { ifError, ifUnreachable } = meta.staleness;
  const grace = failure === 'error' ? ifError : ifUnreachable;
  return grace > 0 && -ttl <= grace;
}
