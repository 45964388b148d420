import { ageOf, type HttpEntry } from './http-entry.ts';

/** What a stored answer is good for right now; the reason is made for people. */
export interface ReuseVerdict {
  readonly use:
    | 'fresh'
    /** It may be given while it is renewed (RFC 5861 §3). */
    | 'stale-while-revalidate'
    /** The origin has to be asked first (RFC 9111 §4.3). */
    | 'revalidate';
  readonly reason: string;
  /** Seconds that it stays fresh; not above 0 when it is stale. */
  readonly ttl: number;
}

/** Judges whether a stored answer may be used without asking (RFC 9111 §4.2). */
export function judgeReuse({ meta, freshUntil }: HttpEntry, now: number): ReuseVerdict {
  const { lifetime, staleness } = meta;
  const left = lifetime.seconds - ageOf(meta, now);
  // The store says 0 for what was purged softly.
  const isPurged = freshUntil === 0;
  const ttl = isPurged ? Math.min(left, 0) : left;
  if (staleness.isAlwaysRevalidated) return { use: 'revalidate', reason: 'no-cache asks the origin at each use', ttl };
  if (ttl > 0) return { use: 'fresh', reason: `${lifetime.source} says ${lifetime.seconds} s`, ttl };
  const why = isPurged ? 'it was purged softly' : 'its lifetime is over';
  return staleness.whileRevalidate > 0 && -ttl <= staleness.whileRevalidate
    ? { use: 'stale-while-revalidate', reason: `${why}, and stale-while-revalidate covers it`, ttl }
    : { use: 'revalidate', reason: why, ttl };
}

/** Whether a stale answer may stand in for an origin that fails (RFC 5861 §4) or cannot be reached (RFC 9111 §4.2.4). */
export function mayStandIn({ meta }: HttpEntry, ttl: number, failure: 'error' | 'unreachable'): boolean {
  const { ifError, ifUnreachable } = meta.staleness;
  const grace = failure === 'error' ? ifError : ifUnreachable;
  return grace > 0 && -ttl <= grace;
}
