import type { CacheSpace } from '../../ports/cache.ts';
import { answerAgain, type KeptAnswer, keepAnswer } from '../../web/ready-headers.ts';
import { hasNoContent, renderHeaders } from './http-answer.ts';
import { ageOf, type HttpEntry, type HttpMeta } from './http-entry.ts';

/** What was made of an entry to be sent again and again. */
interface Ready {
  /** Sent without being copied for each answer. */
  readonly content: Blob;
  /** Right as long as `age` and `ttl` are. */
  kept: KeptAnswer;
  age: number;
  ttl: number;
}

/** Whether the whole of an answer is asked for, without conditions that have to be judged. */
export function isPlain({ method, headers }: Request, status: number): boolean {
  return (
    method === 'GET' &&
    !hasNoContent(status) &&
    !headers.has('range') &&
    !headers.has('if-none-match') &&
    !headers.has('if-modified-since')
  );
}

/**
 * Answers plain requests with what was made ready by the first of them; the fields change only when a second has passed. The answer
 * is the origin's: it gets no security headers of ours.
 */
export function createHits(space: Pick<CacheSpace<HttpMeta>, 'remember'>) {
  const prepare = (entry: HttpEntry): Ready => {
    const { body } = entry;
    const content = new Blob([body as Uint8Array<ArrayBuffer>]);
    const ready: Ready = { content, kept: keepAnswer({}), age: -1, ttl: Number.NaN };
    space.remember(entry, ready, body.byteLength);
    return ready;
  };

  /** @param left seconds that it stays fresh. */
  return (request: Request, entry: HttpEntry, now: number, left: number): Response => {
    const ready = (entry.memo as Ready | undefined) ?? prepare(entry);
    const age = Math.floor(ageOf(entry.meta, now));
    const ttl = Math.ceil(left);
    if (age !== ready.age || ttl !== ready.ttl) {
      const headers = new Headers(renderHeaders(entry, now, { kind: 'hit', ttl }));
      headers.set('content-length', String(ready.content.size));
      ready.kept = keepAnswer({ status: entry.meta.status, headers });
      ready.age = age;
      ready.ttl = ttl;
    }
    return answerAgain(request, ready.content, ready.kept);
  };
}
