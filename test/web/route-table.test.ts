import { describe, expect, test } from 'bun:test';
import { type AnyElysia, Elysia, t } from 'elysia';
import { bindContext, type RequestContext } from '../../src/web/context.ts';
import { guard } from '../../src/web/guard.ts';
import { createRouteTable } from '../../src/web/route-table.ts';

const app = () =>
  new Elysia()
    .use(guard)
    .get('/api/things', () => 'list', { signedIn: true })
    .post('/api/things', () => 'made', { admin: true, body: t.Object({}) })
    .get('/api/things/:id', () => 'one', { anyone: true })
    .put('/api/raw/:name', () => 'raw', { signedIn: true, parse: 'none' })
    .post('/api/form', () => 'form', { anyone: true, signInLimit: true, parse: 'urlencoded', body: t.Object({}) })
    .get('/', () => 'root', { anyone: true })
    .get('/all/*', () => 'all', { anyone: true });

describe('the route table', () => {
  test('a route that does not say who may call it stops the start', () => {
    const careless = new Elysia().use(guard).get('/open', () => 'x');
    expect(() => createRouteTable(careless)).toThrow('the route GET /open does not say who may call it');
  });

  test('knows right, limit, parser and content type of each route', () => {
    const table = createRouteTable(app());
    expect(table.find('GET', '/api/things')).toMatchObject({
      access: 'signedIn',
      limit: 'default',
      isRawBody: false,
      consumes: null,
    });
    expect(table.find('POST', '/api/things')).toMatchObject({ access: 'admin', consumes: 'application/json' });
    expect(table.find('PUT', '/api/raw/x')).toMatchObject({ isRawBody: true, consumes: null });
    expect(table.find('POST', '/api/form')).toMatchObject({
      limit: 'auth',
      consumes: 'application/x-www-form-urlencoded',
    });
  });

  test.each([
    ['GET', '/api/things', '/api/things'],
    ['GET', '/api/things/', '/api/things'],
    ['GET', '/api/things/7', '/api/things/:id'],
    ['GET', '/api/things/7/', '/api/things/:id'],
    ['GET', '/api/things/%2F', '/api/things/:id'],
    ['GET', '/', '/'],
    ['GET', '/all/a/b', '/all/*'],
    ['GET', '/api/things/7/8', null],
    ['GET', '//api/things', null],
    ['GET', '/API/THINGS', null],
    ['GET', '/api//things', null],
    ['DELETE', '/api/things', null],
  ])('%s %s is the route %p', (method, path, pattern) => {
    expect(createRouteTable(app()).find(method, path)?.pattern ?? null).toBe(pattern);
  });

  test('finds the route that the framework itself would run', async () => {
    const root = app() as AnyElysia;
    const table = createRouteTable(root);
    const names: Record<string, string> = {
      '/api/things': 'list',
      '/api/things/:id': 'one',
      '/': 'root',
      '/all/*': 'all',
    };
    for (const path of [
      '/',
      '/api/things',
      '/api/things/',
      '/api/things/7',
      '/api/things/7/',
      '/api/things/%2f',
      '/all/x',
      '/all/',
      '/api/things/7/8',
      '//',
      '/api//things',
      '/api/things//',
    ]) {
      const request = new Request(`http://localhost${path}`);
      bindContext(request, { caller: null } as RequestContext, {
        peerAddress: '',
        isSecure: false,
        keepOpen: () => undefined,
        cutWhenIdle: () => undefined,
      });
      const answer = await root.handle(request);
      const expected = answer.status === 404 ? undefined : await answer.text();
      const pattern = table.find('GET', path)?.pattern;
      expect(pattern === undefined ? undefined : names[pattern], path).toBe(expected as string);
    }
  });

  test('names the methods of a path', () => {
    const table = createRouteTable(app());
    expect(table.methodsOf('/api/things').sort()).toEqual(['GET', 'HEAD', 'OPTIONS', 'POST']);
    expect(table.methodsOf('/api/form').sort()).toEqual(['OPTIONS', 'POST']);
    expect(table.methodsOf('/nowhere')).toEqual([]);
  });

  test('what it was asked about before changes nothing', () => {
    const table = createRouteTable(app());
    for (const turn of ['first', 'second']) {
      expect(table.methodsOf('/nowhere'), turn).toEqual([]);
      expect(table.find('GET', '/nowhere'), turn).toBeNull();
      expect(table.methodsOf('/api/things/7').sort(), turn).toEqual(['GET', 'HEAD', 'OPTIONS']);
      expect(table.find('DELETE', '/api/things/7'), turn).toBeNull();
      expect(table.find('GET', '/api/things/7')?.pattern, turn).toBe('/api/things/:id');
    }
  });
});
