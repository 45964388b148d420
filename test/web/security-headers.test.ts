import { expect, test } from 'bun:test';
import { JsonAnswer, setSecurityHeaders } from '../../src/web/security-headers.ts';

test('a JSON answer has the headers that any other gets', async () => {
  const plain = Response.json({ name: 'ann' });
  setSecurityHeaders(plain.headers);
  const ready = new JsonAnswer({ name: 'ann' });
  expect([...ready.headers]).toEqual([...plain.headers]);
  expect([ready.status, await ready.json()]).toEqual([200, { name: 'ann' }]);
  ready.headers.set('x-request-id', 'one');
  expect(new JsonAnswer({}).headers.get('x-request-id')).toBeNull();
});
