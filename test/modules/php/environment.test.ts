import { describe, expect, test } from 'bun:test';
import { createEnvironment, type EnvironmentScene } from '../../../src/modules/php/environment.ts';
import { connectionOf, contextOf } from '../../../src/web/context.ts';
import { requestFor } from '../gateway/request.ts';

const toEnvironment = createEnvironment({
  mount: '',
  version: '1.0.0',
  host: '127.0.0.1',
  publish: () => ({ url: 'http://127.0.0.1/publish', key: 'key' }),
  sessionCookie: '__Host-bunkhouse',
});

const toParams = (scene: EnvironmentScene) => {
  const { common, params } = toEnvironment(scene);
  return [...common.flat(), ...params];
};

/** What a script is told of a request for `host`, whose URL the runtime made from it. */
function environmentOf(host: string, isSecure: boolean, headers: Record<string, string> = {}) {
  const request = requestFor('/index.php', { headers: { ...headers, host } }, host);
  const params = toParams({
    request,
    asker: { ...contextOf(request), isSecure, connection: connectionOf(request) },
    target: { kind: 'script', root: '/srv', names: ['index.php'], pathInfo: '' },
    bodySize: null,
  });
  return Object.fromEntries(params);
}

describe('the host, as it stands in the cache key', () => {
  const cases: [sent: string, isSecure: boolean, host: string, name: string, port: string][] = [
    ['EXAMPLE.com', false, 'example.com', 'example.com', '80'],
    ['example.com:80', false, 'example.com', 'example.com', '80'],
    ['example.com:080', true, 'example.com', 'example.com', '443'],
    ['example.com:', false, 'example.com', 'example.com', '80'],
    ['example.com:08080', false, 'example.com:8080', 'example.com', '8080'],
    ['example.com:443', true, 'example.com:443', 'example.com', '443'],
    ['[::1]:3000', false, '[::1]:3000', '[::1]', '3000'],
  ];
  test.each(cases)('%s, secure %p', (sent, isSecure, host, name, port) => {
    const { HTTP_HOST, SERVER_NAME, SERVER_PORT } = environmentOf(sent, isSecure);
    expect({ HTTP_HOST, SERVER_NAME, SERVER_PORT }).toEqual({ HTTP_HOST: host, SERVER_NAME: name, SERVER_PORT: port });
  });

  test('also where the URL came by TLS', () => {
    const request = new Request('https://example.com:443/index.php', { headers: { host: 'example.com:443' } });
    const of = requestFor('/');
    const target = { kind: 'script', root: '/srv', names: ['index.php'], pathInfo: '' } as const;
    const asker = { ...contextOf(of), isSecure: true, connection: connectionOf(of) };
    const params = toParams({ request, asker, target, bodySize: null });
    expect(Object.fromEntries(params)).toMatchObject({ HTTP_HOST: 'example.com', SERVER_PORT: '443' });
  });
});

test('what only a proxy may say of a request is not the client’s to say, and what it may say passes', () => {
  const forged = [
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'x-forwarded-user',
    'forwarded',
    'x-real-ip',
    'client-ip',
    'true-client-ip',
    'cf-connecting-ip',
    'x-original-url',
    'x-rewrite-url',
    'proxy',
    'x-accel-redirect',
    'x-sendfile',
  ];
  const headers = Object.fromEntries(forged.map((name) => [name, 'evil']));
  const env = environmentOf('example.com', false, { ...headers, 'x-own': 'yes', forwarding: 'yes' });
  expect(Object.values(env)).not.toContain('evil');
  expect(env).toMatchObject({ HTTP_X_OWN: 'yes', HTTP_FORWARDING: 'yes' });
});
