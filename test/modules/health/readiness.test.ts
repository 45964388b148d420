import { describe, expect, test } from 'bun:test';
import type { HealthCheck, HealthStatus } from '../../../src/kernel/checks.ts';
import { createReadiness } from '../../../src/modules/health/readiness.ts';
import { fakeClock, recordingLog } from '../../support/fakes.ts';

const SECRET = 'postgres://user:hunter2@db';

function check(
  name: string,
  status: HealthStatus['status'] | Error,
  isVital = false,
): HealthCheck & { readonly runs: () => number } {
  let runs = 0;
  return {
    name,
    isVital,
    runs: () => runs,
    async run() {
      runs++;
      if (status instanceof Error) throw status;
      return { status };
    },
  };
}

function open(checks: readonly HealthCheck[], isDraining = () => false) {
  const [clock, log] = [fakeClock(), recordingLog()];
  return { clock, log, ready: createReadiness(checks, { clock, log, isDraining }) };
}

describe('readiness', () => {
  test.each<[string, HealthCheck[], 'ok' | 'degraded' | 'down']>([
    ['no checks', [], 'ok'],
    ['all well', [check('a', 'ok', true), check('b', 'ok')], 'ok'],
    ['one that is off', [check('a', 'ok', true), check('b', 'off')], 'ok'],
    ['a degraded one', [check('a', 'ok', true), check('b', 'degraded')], 'degraded'],
    ['a vital one that is degraded', [check('a', 'degraded', true)], 'degraded'],
    ['a minor one that is down', [check('a', 'ok', true), check('b', 'down')], 'degraded'],
    ['a minor one that rejects', [check('a', 'ok', true), check('b', new Error(SECRET))], 'degraded'],
    ['a vital one that is down', [check('a', 'down', true), check('b', 'ok')], 'down'],
    ['a vital one that rejects', [check('a', new Error(SECRET), true), check('b', 'ok')], 'down'],
  ])('with %s', async (_what, checks, status) => {
    const result = await open(checks).ready();
    expect(result.status).toBe(status);
    expect(result.checks.map(({ name }) => name)).toEqual(checks.map(({ name }) => name));
    expect(result.checks.every(({ latencyMs }) => latencyMs >= 0)).toBe(true);
  });

  test('what went wrong is for the log and not for the answer', async () => {
    const { ready, log } = open([check('a', new Error(SECRET), true)]);
    expect(JSON.stringify(await ready())).not.toContain('hunter2');
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { check: 'a', err: expect.any(Error) } }]);
  });

  test('however often it is asked, the checks run once in a second', async () => {
    const each = check('a', 'ok', true);
    const { ready, clock } = open([each]);
    await Promise.all(Array.from({ length: 100 }, ready));
    clock.turn(999);
    await ready();
    expect(each.runs()).toBe(1);
    clock.turn(1);
    await ready();
    expect(each.runs()).toBe(2);
  });

  test('while draining it is down at once, also when a good answer is still fresh', async () => {
    let isDraining = false;
    const { ready } = open([check('a', 'ok', true)], () => isDraining);
    expect((await ready()).status).toBe('ok');
    isDraining = true;
    const result = await ready();
    expect(result.status).toBe('down');
    expect(result.checks.at(-1)).toEqual({ name: 'server', status: 'down', latencyMs: 0, detail: 'shutting down' });
    isDraining = false;
    expect((await ready()).checks).toHaveLength(1);
  });

  test('a check that does not answer counts as down, and the others are told', async () => {
    const hanging: HealthCheck = { name: 'hanging', isVital: true, run: () => new Promise(() => undefined) };
    const result = await open([hanging, check('b', 'ok')]).ready();
    expect(result.status).toBe('down');
    expect(result.checks).toMatchObject([
      { name: 'hanging', status: 'down', detail: 'no answer in time' },
      { name: 'b', status: 'ok' },
    ]);
  });
});
