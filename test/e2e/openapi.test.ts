import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenApiDocument } from '../../src/modules/docs/index.ts';
import { startServer, type TestServer } from '../support/server.ts';

const ROOT = join(import.meta.dir, '../..');

let server: TestServer;
let document: OpenApiDocument;
let folder: string;

beforeAll(async () => {
  server = await startServer();
  document = (await (await fetch(`${server.url}/swagger/json`)).json()) as OpenApiDocument;
  folder = await mkdtemp(join(tmpdir(), 'bunkhouse-openapi-'));
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('the OpenAPI document of the running server', () => {
  test('lints clean', async () => {
    const file = join(folder, 'openapi.json');
    await writeFile(file, JSON.stringify(document));
    const lint = Bun.spawn([join(ROOT, 'node_modules/.bin/redocly'), 'lint', '--format=json', file], {
      cwd: ROOT,
      env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [report, exitCode] = await Promise.all([new Response(lint.stdout).json(), lint.exited]);
    const { totals, problems } = report as { totals: object; problems: { ruleId: string; message: string }[] };
    expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([]);
    expect(totals).toEqual({ errors: 0, warnings: 0, ignored: 0 });
    expect(exitCode).toBe(0);
  }, 30_000);

  test('has the routes that people start with', () => {
    const routes = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toEqual(
      expect.arrayContaining([
        'POST /api/auth/register',
        'POST /api/auth/login',
        'POST /api/auth/token',
        'GET /api/auth/me',
        'GET /api/users',
        'POST /api/files',
        'PUT /api/files/by-name/{name}',
        'GET /api/files/{id}/content',
        'GET /health/ready',
        'GET /problems/{area}/{name}',
      ]),
    );
  });

  test('tells what bodies the file routes take', () => {
    const types = (method: string, path: string) =>
      Object.keys(document.paths[path]?.[method]?.requestBody?.content ?? {});
    expect(types('post', '/api/files')).toEqual(['multipart/form-data']);
    expect(types('put', '/api/files/by-name/{name}')).toEqual(['application/octet-stream']);
    expect(types('post', '/api/auth/token')).toEqual(['application/x-www-form-urlencoded']);
    expect(types('post', '/api/auth/login')).toEqual(['application/json']);
  });

  test('describes every success and at least one failure of each operation, and says who may call it', () => {
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const at = `${method} ${path}`;
        const statuses = Object.keys(operation.responses);
        expect(
          statuses.some((status) => status < '400'),
          at,
        ).toBe(true);
        expect(
          statuses.some((status) => status >= '400'),
          at,
        ).toBe(true);
        expect(operation.security, at).toBeDefined();
        expect(operation.summary, at).toBeString();
        expect(operation.tags, at).toHaveLength(1);
      }
    }
  });

  test('names only problem types that are documented', async () => {
    const answer = await fetch(`${server.url}/api/auth/me`);
    const { type } = (await answer.json()) as { type: string };
    const page = await fetch(server.url + type, { headers: { accept: 'application/json' } });
    expect(page.status).toBe(200);
    expect(await page.json()).toMatchObject({ type, status: 401 });
  });
});
