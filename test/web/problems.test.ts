import { describe, expect, test } from 'bun:test';
import { Elysia, NotFoundError, ParseError, status, t } from 'elysia';
import { AppError, defineProblems } from '../../src/kernel/errors.ts';
import { databaseProblems, requestProblems, serverProblems } from '../../src/kernel/problems.ts';
import { isUnexpected, toAppError, toProblemResponse } from '../../src/web/problems.ts';

const scene = { requestId: 'id-1', path: '/api/things' };
const SECRET = 'postgres://user:hunter2@db';

/** Everything about it throws or lies. */
const trap = new Proxy(new Error(SECRET), {
  get(target, name) {
    if (name === 'stack' || name === 'message' || name === 'status' || name === 'code' || name === 'cause')
      throw new Error(SECRET);
    return Reflect.get(target, name);
  },
});
const hostile: [string, unknown][] = [
  ['null', null],
  ['undefined', undefined],
  ['a number', 404],
  ['zero', 0],
  ['a text', SECRET],
  ['a symbol', Symbol(SECRET)],
  ['a bigint', 1n],
  ['a function', () => SECRET],
  ['an object without a prototype', Object.create(null)],
  ['an error', new Error(SECRET)],
  ['an error with a status', Object.assign(new Error(SECRET), { status: 403 })],
  ['an error that calls itself NOT_FOUND', Object.assign(new Error(SECRET), { code: 'NOT_FOUND', status: 404 })],
  [
    'an error that calls itself VALIDATION',
    Object.assign(new Error(SECRET), { code: 'VALIDATION', type: 'body', all: [] }),
  ],
  [
    'an object that looks like one of ours',
    { code: 'auth/required', problem: { status: 200 }, detail: SECRET, headers: {} },
  ],
  ['a Response', new Response(SECRET, { status: 204 })],
  ["Elysia's status", status(418, SECRET)],
  ['a promise', Promise.resolve(SECRET)],
  ['getters that throw', trap],
  [
    'a status getter that throws',
    Object.defineProperty({}, 'status', {
      get: () => {
        throw new Error(SECRET);
      },
    }),
  ],
  [
    'a cause that goes in a circle',
    (() => {
      const error = new Error(SECRET);
      error.cause = error;
      return error;
    })(),
  ],
];

describe('whatever is thrown', () => {
  test.each(hostile)('%s is an opaque 500', async (_what, thrown) => {
    const answer = toProblemResponse(thrown, scene);
    expect(answer.status).toBe(500);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const text = await answer.text();
    expect(JSON.parse(text)).toEqual({
      type: '/problems/server/internal',
      title: 'Internal error',
      status: 500,
      detail: serverProblems.rows.internal.detail,
      instance: '/api/things',
      code: 'server/internal',
      requestId: 'id-1',
    });
    expect(text).not.toContain('hunter2');
    expect(isUnexpected(thrown)).toBe(true);
  });
});

describe('a failure of ours', () => {
  test('is answered by its row, with its detail, faults and headers, and never its cause', async () => {
    const table = defineProblems('tests', { odd: { status: 409, title: 'Odd', detail: 'It is odd.' } });
    const error = table.create('odd', {
      detail: 'It is odd here.',
      faults: [{ pointer: '/a', detail: 'must be even' }],
      headers: { 'x-more': '1' },
      retryAfterSeconds: 7,
      cause: new Error(SECRET),
    });
    const answer = toProblemResponse(error, scene);
    expect([answer.status, answer.headers.get('x-more'), answer.headers.get('retry-after')]).toEqual([409, '1', '7']);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({
      type: '/problems/tests/odd',
      code: 'tests/odd',
      detail: 'It is odd here.',
      errors: [{ pointer: '/a', detail: 'must be even' }],
    });
    expect(text).not.toContain('hunter2');
    expect(isUnexpected(error)).toBe(false);
  });

  test('401 carries a challenge, 503 says when to come back, 405 what is allowed', () => {
    const table = defineProblems('tests', {
      who: { status: 401, title: 'Who', detail: 'Who?' },
      busy: { status: 503, title: 'Busy', detail: 'Busy.' },
    });
    expect(toProblemResponse(table.create('who'), scene).headers.get('www-authenticate')).toBe(
      'Bearer realm="bunkhouse"',
    );
    expect(toProblemResponse(table.create('busy'), scene).headers.get('retry-after')).toBe('1');
    const error = requestProblems.create('method-not-allowed', { headers: { allow: 'GET' } });
    expect(toProblemResponse(error, scene).headers.get('allow')).toBe('GET');
  });

  test('wrapped by somebody else is still ours', () => {
    const wrapped = new Error('Failed query: select secret', { cause: databaseProblems.create('busy') });
    expect(toAppError(wrapped).code).toBe('database/busy');
    expect(toProblemResponse(wrapped, scene).status).toBe(503);
  });
});

describe('what the framework throws', () => {
  const app = new Elysia()
    .onError({ as: 'global' }, ({ error }) => toProblemResponse(error, scene))
    .post('/body', ({ body }) => body.name, {
      body: t.Object({
        name: t.String({ maxLength: 5 }),
        list: t.Optional(t.Array(t.Object({ age: t.Integer() }))),
        kind: t.Optional(t.String({ pattern: '^x$', error: 'must be x' })),
      }),
    })
    .get('/query', ({ query }) => query.limit, { query: t.Object({ limit: t.Integer() }) })
    .get('/answer', () => ({ secret: SECRET }) as unknown as { name: string }, {
      response: { 200: t.Object({ name: t.String() }) },
    })
    .get('/status', () => {
      throw status(418, SECRET);
    })
    .get('/throws', () => {
      throw Object.assign(new Error(SECRET), { status: 200 });
    });
  const send = async (path: string, json?: unknown) => {
    const answer = await app.handle(
      new Request(`http://localhost${path}`, {
        ...(json === undefined
          ? {}
          : { method: 'POST', body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }),
      }),
    );
    const text = await answer.text();
    return {
      status: answer.status,
      text,
      json: JSON.parse(text) as { code: string; errors?: { pointer: string; detail: string }[] },
    };
  };

  test.each<[string, object, string]>([
    ['a missing field', {}, '/name'],
    ['a field of another type', { name: 5 }, '/name'],
    ['a field that is too long', { name: 'hunter2hunter2' }, '/name'],
    ['a field inside a list', { name: 'a', list: [{ age: 1 }, { age: 'hunter2' }] }, '/list/1/age'],
  ])('%s is 422 with a pointer and without the value', async (_what, json, pointer) => {
    const answer = await send('/body', json);
    expect([answer.status, answer.json.code]).toEqual([422, 'request/invalid']);
    expect(answer.json.errors?.map((fault) => fault.pointer)).toContain(pointer);
    expect(answer.text).not.toContain('hunter2');
    expect(answer.json.errors?.every(({ detail }) => detail.length > 0)).toBe(true);
  });

  test("a schema's own words are used", async () => {
    const { errors } = (await send('/body', { name: 'a', kind: 'y' })).json;
    expect(errors).toEqual([{ pointer: '/kind', detail: 'must be x' }]);
  });

  test('a thousand faults are listed up to a bound', async () => {
    const list = Array.from({ length: 1000 }, () => ({ age: 'x' }));
    const { errors } = (await send('/body', { name: 'a', list })).json;
    expect(errors?.length).toBeLessThanOrEqual(20);
    expect(errors?.length).toBeGreaterThan(0);
  });

  test('an answer of ours that does not fit its schema is our bug', async () => {
    const answer = await send('/answer');
    expect([answer.status, answer.json.code]).toEqual([500, 'server/internal']);
    expect(answer.text).not.toContain('hunter2');
  });

  test.each(['/status', '/throws'])('%s tells nothing of what was thrown', async (path) => {
    const answer = await send(path);
    expect([answer.status, answer.json.code]).toEqual([500, 'server/internal']);
    expect(answer.text).not.toContain('hunter2');
  });

  test('a bad query is 422', async () => {
    const answer = await send('/query?limit=hunter2');
    expect([answer.status, answer.text.includes('hunter2')]).toEqual([422, false]);
    expect(answer.json.errors?.length).toBeGreaterThan(0);
  });

  test('its own not-found and parse errors are ours', () => {
    expect(toAppError(new NotFoundError()).code).toBe('request/not-found');
    expect(toAppError(new ParseError()).code).toBe('request/malformed-json');
    expect(toAppError(new ParseError()) instanceof AppError).toBe(true);
  });
});
