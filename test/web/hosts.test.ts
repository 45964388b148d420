import { describe, expect, test } from 'bun:test';
import { createHostCheck, refusedResponse } from '../../src/web/hosts.ts';

const check = createHostCheck({
  publicUrl: 'https://house.example:8443',
  allowed: ['other.example', 'ports.example:9000'],
});

describe('a Host is let in', () => {
  test.each([
    'localhost',
    'localhost:3000',
    'LOCALHOST:3000',
    '127.0.0.1',
    '127.0.0.1:80',
    '[::1]',
    '[::1]:3000',
    'app.localhost',
    'house.example',
    'house.example:8443',
    'House.Example',
    'other.example',
    'other.example:1234',
    'ports.example:9000',
  ])('when it is %s', (host) => expect(check(host)).toBe(true));
});

describe('a Host is refused', () => {
  test.each([
    [null],
    [''],
    ['a'],
    ['abc'],
    ['evil.example'],
    ['house.example.evil.example'],
    ['evilhouse.example'],
    ['ports.example:9001'],
    ['ports.example'],
    ['localhost.evil.example'],
    ['notlocalhost'],
    ['127.0.0.2'],
    ['127.0.0.1.'],
    ['0.0.0.0'],
    ['[::2]'],
    ['192.168.0.1'],
    ['localhost:'],
    ['localhost:x'],
    ['localhost:3000:3000'],
    // Anything that would not be the host of the URL the runtime makes from it.
    ['a/x.localhost'],
    ['a?x.localhost'],
    ['a#x.localhost'],
    ['a\\x.localhost'],
    ['a@x.localhost'],
    ['a b.localhost'],
    ['a"x.localhost'],
    ['a%2fx.localhost'],
    ['ä.localhost'],
    ['a,x.localhost'],
    ['evil.example, localhost'],
    ['[x].localhost'],
    ['localhost/'],
    ['user@localhost'],
  ])('when it is %p', (host) => expect(check(host)).toBe(false));
});

describe('with ALLOWED_HOSTS=*', () => {
  const any = createHostCheck({ publicUrl: 'http://127.0.0.1:3000', allowed: ['*'] });
  test.each(['evil.example', 'a_b.example:80', '192.168.0.1', '[2001:db8::1]:80'])('%s is let in', (host) => {
    expect(any(host)).toBe(true);
  });
  test.each(['a', 'abc', '', 'a/b.example', 'a b.example', '*', 'x@evil.example', 'ab/c', '....../', 'http://x'])(
    '%p is still refused',
    (host) => {
      expect(any(host)).toBe(false);
    },
  );
});

test('the answer is a problem with the id and nothing of the host', async () => {
  const answer = refusedResponse('misdirected', 'id-1', '/api/users');
  expect(answer.status).toBe(421);
  expect(answer.headers.get('x-request-id')).toBe('id-1');
  expect(await answer.json()).toMatchObject({ code: 'request/misdirected', instance: '/api/users', requestId: 'id-1' });
});
