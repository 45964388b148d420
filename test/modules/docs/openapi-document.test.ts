import { beforeAll, describe, expect, test } from 'bun:test';
import { createDocs } from '../../../src/modules/docs/index.ts';
import type { OpenApiDocument, Operation } from '../../../src/modules/docs/openapi-types.ts';
import { sampleModule } from './sample.ts';

let document: OpenApiDocument;

beforeAll(async () => {
  document = await createDocs({
    version: '1.2.3',
    openFile: async () => null,
    modules: () => [sampleModule()],
  }).document();
});

const operation = (method: string, path: string): Operation => document.paths[path]?.[method] as Operation;
const refs = (found: Operation) =>
  Object.entries(found.responses).map(([status, answer]) =>
    '$ref' in answer ? `${status} ${answer.$ref.split('/').at(-1)}` : status,
  );

describe('the OpenAPI document', () => {
  test('names the version and every tag that is used, and no other', () => {
    expect(document.info).toMatchObject({ title: 'Bunkhouse API', version: '1.2.3', license: { name: 'MIT' } });
    expect(document.tags.map((tag) => tag.name)).toEqual(['auth', 'users', 'files', 'health', 'docs']);
    expect(document.tags.every((tag) => tag.description.length > 5)).toBe(true);
  });

  test('leaves hidden routes and what only the gate reads out', () => {
    expect(Object.keys(document.paths)).not.toContain('/hidden');
    expect(Object.keys(document.paths)).not.toContain('/swagger');
    expect(JSON.stringify(document)).not.toMatch(/x-access|x-limit|"hide"|nullable|"none"/);
  });

  test('gives every operation an id of its own', () => {
    const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map((found) => found.operationId));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('putApiFilesByNameByName');
    expect(ids.every((id) => /^[A-Za-z0-9]+$/.test(id))).toBe(true);
  });

  const failures: readonly [method: string, path: string, responses: readonly string[]][] = [
    [
      'get',
      '/api/files',
      ['200', '401 Unauthorized', '403 Forbidden', '422 UnprocessableContent', '429 TooManyRequests'],
    ],
    ['get', '/api/files/{id}', ['200', '401 Unauthorized', '403 Forbidden', '404 NotFound', '429 TooManyRequests']],
    ['get', '/api/files/{id}/content', ['200', '401 Unauthorized', '404 NotFound', '429 TooManyRequests']],
    ['delete', '/api/files/{id}', ['204', '401 Unauthorized', '403 Forbidden', '404 NotFound', '429 TooManyRequests']],
    [
      'post',
      '/api/files',
      [
        '201',
        '400 BadRequest',
        '401 Unauthorized',
        '403 Forbidden',
        '413 ContentTooLarge',
        '415 UnsupportedMediaType',
        '422 UnprocessableContent',
        '429 TooManyRequests',
        '507',
      ],
    ],
    [
      'post',
      '/api/auth/token',
      [
        '200',
        '400',
        '413 ContentTooLarge',
        '415 UnsupportedMediaType',
        '422 UnprocessableContent',
        '429 TooManyRequests',
      ],
    ],
  ];
  test.each(failures)('%s %s tells of its failures', (method, path, responses) => {
    expect(refs(operation(method, path))).toEqual([...responses]);
  });

  const contents: readonly [
    method: string,
    path: string,
    request: string | null,
    status: string,
    response: string | null,
  ][] = [
    ['post', '/api/files', 'multipart/form-data', '201', 'application/json'],
    ['post', '/api/files', 'multipart/form-data', '507', 'application/problem+json'],
    ['put', '/api/files/by-name/{name}', 'application/octet-stream', '201', 'application/json'],
    ['patch', '/api/files/{id}', 'application/json', '200', 'application/json'],
    ['patch', '/api/files/{id}', 'application/json', '409', 'application/problem+json'],
    ['delete', '/api/files/{id}', null, '204', null],
    ['get', '/api/files/{id}/content', null, '200', '*/*'],
    ['post', '/api/auth/token', 'application/x-www-form-urlencoded', '200', 'application/json'],
    ['post', '/api/auth/token', 'application/x-www-form-urlencoded', '400', 'application/json'],
    ['get', '/metrics', null, '200', 'text/plain'],
  ];
  test.each(contents)('%s %s takes %p and answers %s with %p', (method, path, request, status, response) => {
    const { requestBody, responses } = operation(method, path);
    const answer = responses[status];
    expect(Object.keys(requestBody?.content ?? {})).toEqual(request === null ? [] : [request]);
    expect(Object.keys((answer && 'content' in answer && answer.content) || {})).toEqual(
      response === null ? [] : [response],
    );
  });

  test('prefers what a route tells of its body to the schema', () => {
    const schema = { $ref: '#/components/schemas/TokenRequest' };
    expect(operation('post', '/api/auth/token').requestBody?.content).toEqual({
      'application/x-www-form-urlencoded': { schema },
    });
  });

  test('knows which bodies may be left out', () => {
    expect(operation('post', '/api/auth/logout').requestBody?.required).toBe(false);
    expect(operation('patch', '/api/files/{id}').requestBody?.required).toBe(true);
  });

  test('has no path with a slash at the end', () => {
    expect(Object.keys(document.paths)).toContain('/api/users');
    expect(Object.keys(document.paths).filter((path) => path.endsWith('/'))).toEqual([]);
  });

  test('lists a titled schema once and refers to it', () => {
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(['Problem', 'File', 'FileChange']));
    expect(operation('get', '/api/files/{id}').responses['200']).toMatchObject({
      content: { 'application/json': { schema: { $ref: '#/components/schemas/File' } } },
    });
    expect(document.components.schemas.File).toMatchObject({
      properties: {
        visibility: { type: 'string', enum: ['private', 'public'] },
        thumbhash: { type: ['string', 'null'] },
        createdAt: { type: 'string', format: 'date-time' },
      },
    });
  });

  test('tells numbers of the query as numbers', () => {
    const limit = operation('get', '/api/files').parameters?.find((parameter) => parameter.name === 'limit');
    expect(limit).toMatchObject({ in: 'query', required: false, schema: { type: 'integer', minimum: 1, default: 50 } });
    expect(limit?.schema.anyOf).toBeUndefined();
  });

  test('asks for a right where one is needed and only there', () => {
    expect(operation('get', '/api/files').security).toEqual([{ bearer: [] }, { password: [] }, { cookie: [] }]);
    expect(operation('post', '/api/auth/logout').security).toEqual([]);
    expect(operation('get', '/api/files/{id}/content').security).toEqual([
      { bearer: [] },
      { password: [] },
      { cookie: [] },
      {},
    ]);
  });
});
