import { describe, expect, test } from 'bun:test';
import { contextOf } from '../../src/web/context.ts';
import { answerAgain, keepAnswer } from '../../src/web/ready-headers.ts';
import { requestFor } from '../modules/gateway/request.ts';

const POLICY = { name: 'default', count: 10, windowSeconds: 60 };
const keep = () => keepAnswer({ status: 203, headers: { 'x-own': 'yes' } });

function asked(id: string, remaining: number | null): Request {
  const request = requestFor('/');
  const verdict = { allowed: true, remaining: remaining ?? 0, resetSeconds: 6, retryAfterSeconds: 0 };
  Object.assign(contextOf(request), { id, rate: remaining === null ? null : { policy: POLICY, verdict } });
  return request;
}
const described = ({ status, headers }: Response): Record<string, unknown> => ({ status, ...headers.toJSON() });

describe('an answer that is given again', () => {
  test('tells each of its own id and rate limit, and of a limit only where there is one', () => {
    const kept = keep();
    const give = (id: string, remaining: number | null) => described(answerAgain(asked(id, remaining), 'body', kept));
    const own = { status: 203, 'x-own': 'yes' };
    const limited = { ...own, 'ratelimit-policy': '"default";q=10;w=60' };
    expect(give('one', 9)).toEqual({ ...limited, 'x-request-id': 'one', ratelimit: '"default";r=9;t=6' });
    expect(give('two', 8)).toEqual({ ...limited, 'x-request-id': 'two', ratelimit: '"default";r=8;t=6' });
    expect(give('three', null)).toEqual({ ...own, 'x-request-id': 'three' });
  });

  test('needs no more of the gate, and a request of our own gets it, too', () => {
    const request = asked('one', 9);
    expect(contextOf(request).readyAnswer).toBeNull();
    const response = answerAgain(request, 'body', keep());
    expect(contextOf(request).readyAnswer).toBe(response);
    expect(answerAgain(new Request('http://localhost/'), 'body', keep()).headers.get('x-own')).toBe('yes');
  });

  test('tells a request of our own nothing of those who asked before', () => {
    const kept = keep();
    answerAgain(asked('one', 9), 'body', kept);
    const own = answerAgain(new Request('http://localhost/'), 'body', kept);
    expect(described(own)).toEqual({ status: 203, 'x-own': 'yes' });
    const limited = { status: 203, 'x-own': 'yes', 'ratelimit-policy': '"default";q=10;w=60' };
    expect(described(answerAgain(asked('two', 8), 'body', kept))).toEqual({
      ...limited,
      'x-request-id': 'two',
      ratelimit: '"default";r=8;t=6',
    });
  });
});
