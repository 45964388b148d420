import { beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';

const SCRIPT = join(import.meta.dirname, '../support/log-writer.ts');

async function logAt(level: string) {
  const child = Bun.spawn([process.execPath, SCRIPT, level], { stdout: 'pipe', stderr: 'pipe' });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly err?: {
    readonly type: string;
    readonly message: string;
    readonly code?: string;
    readonly cause?: Line['err'];
  };
  readonly [field: string]: unknown;
}

describe('log lines', () => {
  let text: string;
  let lines: Line[];
  const named = (msg: string) => lines.find((line) => line.msg === msg);
  beforeAll(async () => {
    const { stdout, stderr, code } = await logAt('info');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    text = stdout;
    lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  });

  test('are one JSON object each, with level and time, and all of them come out', () => {
    for (const line of lines) {
      expect(['info', 'warn', 'error']).toContain(line.level);
      expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(line).not.toHaveProperty('pid');
      expect(line).not.toHaveProperty('hostname');
    }
    expect(lines.at(-1)?.msg).toBe('the end');
    expect(named('at debug')).toBeUndefined();
  });

  test('hold no secret, wherever it was', () => {
    expect(text.includes('hunter2'), 'a redacted value came out').toBe(false);
    expect(text.includes('the-secret-of-the-house'), 'a secret of the settings came out').toBe(false);
  });

  test('keep what is no secret', () => {
    expect(named('fields')).toMatchObject({
      password: '[redacted]',
      nested: { token: '[redacted]', kept: 'visible' },
      kept: 'visible',
    });
    expect(named('child')).toMatchObject({ authorization: '[redacted]', request: 'r1', password: '[redacted]' });
    expect(named('message')?.err).toMatchObject({ type: 'Error', message: 'connecting with [redacted] failed' });
    expect(named('code')?.err).toMatchObject({ message: 'with code', code: 'E_CODE' });
    expect(named('code')?.err).not.toHaveProperty('status');
    expect(named('values')).toMatchObject({ date: '1970-01-01T00:00:00.000Z', nothing: null });
  });

  test('tell of a failed query its cause, and neither statement nor parameters', () => {
    expect(named('query')?.err).toMatchObject({
      type: 'DrizzleQueryError',
      message: 'a query failed',
      cause: { message: 'SQLITE_BUSY' },
    });
    expect(named('wrapped query')?.err?.cause).toMatchObject({ message: 'a query failed' });
    expect(text).not.toContain('insert into users');
  });

  test('of causes end, also when they go in a circle', () => {
    expect(named('cause')?.err?.cause?.message).toBe('connecting with [redacted] failed');
    let depth = 0;
    for (let err = named('circle')?.err; err; err = err.cause) depth++;
    expect(depth).toBeWithin(2, 10);
    expect(named('ring')).toBeDefined();
  });

  test('come out for everything that can be thrown', () => {
    expect(lines.filter(({ msg }) => msg === 'odd')).toHaveLength(5);
    for (const msg of ['number as message', 'trap', 'getter']) expect(named(msg), msg).toBeDefined();
  });

  test('cannot be broken by what is in them', () => {
    expect(named('line\nbreak')).toMatchObject({ text: 'a\nb"c' });
    expect(named('request')).toMatchObject({ level: 'info', requestId: 'r1', status: 200 });
  });
});

describe('the level', () => {
  test('silent writes nothing', async () => {
    expect((await logAt('silent')).stdout).toBe('');
  });

  test('error leaves out what is less, the line of a request among it', async () => {
    const { stdout } = await logAt('error');
    expect(stdout).not.toMatch(/"level":"(debug|info|warn)"/);
    expect(stdout).toContain('"level":"error"');
  });

  test('debug writes everything', async () => {
    expect((await logAt('debug')).stdout).toContain('"msg":"at debug"');
  });
});

test('a reader that goes away ends nothing', async () => {
  const script = `import { pinoLogger } from ${JSON.stringify(join(import.meta.dirname, '../../src/drivers/pino-logger.ts'))};
    const log = await pinoLogger({ level: 'info', isPretty: false, secrets: [], redactedFields: [] });
    for (let round = 0; round < 50; round++) {
      for (let line = 0; line < 500; line++) log.info({ line }, 'x'.repeat(200));
      log.flush();
      await new Promise(setImmediate);
    }
    process.stderr.write('still here');`;
  const child = Bun.spawn(['sh', '-c', `"$0" -e "$1" | head -n 1 > /dev/null`, process.execPath, script], {
    stderr: 'pipe',
  });
  expect(await new Response(child.stderr).text()).toBe('still here');
});
