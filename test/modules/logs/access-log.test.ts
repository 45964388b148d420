import { describe, expect, test } from 'bun:test';
import { createMetrics } from '../../../src/kernel/metrics.ts';
import { createAccessLog } from '../../../src/modules/logs/access-log.ts';
import { recordingLog } from '../../support/fakes.ts';
import { callerOf, openGate } from '../../web/support.ts';

function open() {
  const [log, metrics] = [recordingLog(), createMetrics()];
  return { log, metrics, gate: openGate({ onAnswer: createAccessLog(log, metrics) }) };
}

describe('the access log', () => {
  test('has one line an answer, with the pattern and not the path', async () => {
    const { log, gate } = open();
    await gate.send('GET', '/own/a-name-somebody-gave?token=hunter2', { as: 'ann', headers: { 'x-request-id': 'r1' } });
    await gate.send('GET', '/nowhere/hunter2', { headers: { 'user-agent': 'hunter2', referer: 'hunter2' } });
    expect(log.lines.map(({ fields }) => fields)).toEqual([
      {
        msg: 'request',
        method: 'GET',
        route: '/own/:id',
        status: 200,
        durationMs: expect.any(Number),
        requestId: 'r1',
        address: '192.0.2.1',
        userId: 'ann',
      },
      {
        msg: 'request',
        method: 'GET',
        route: 'none',
        status: 404,
        durationMs: expect.any(Number),
        requestId: expect.any(String),
        address: '192.0.2.1',
      },
    ]);
    expect(JSON.stringify(log.lines)).not.toContain('hunter2');
  });

  test('cannot be forged by anything a client sends', async () => {
    const { log, gate } = open();
    const forged = '","level":"error","x":"';
    for (const headers of [{ 'x-request-id': forged }, { 'x-request-id': 'a\\' }, { 'user-agent': forged }])
      await gate.send('GET', '/open', { headers });
    await gate.send('GET', `/own/${encodeURIComponent(forged)}`, { as: 'ann' });
    expect(log.lines).toHaveLength(4);
    for (const { fields } of log.lines) expect(fields).not.toHaveProperty('level');
  });

  test('the callers that exist have ids which JSON would not escape', () => {
    for (const caller of [callerOf('ann'), callerOf('server')])
      expect(JSON.stringify(caller?.id)).toBe(`"${caller?.id}"`);
  });
});

describe('the metrics of requests', () => {
  test('count by method, pattern and status', async () => {
    const { metrics, gate } = open();
    for (let round = 0; round < 3; round++) await gate.send('GET', '/open');
    await gate.send('GET', '/own/1');
    await gate.send('GET', '/own/2');
    const text = metrics.render();
    expect(text).toContain(
      'bunkhouse_http_request_duration_seconds_count{method="GET",route="/open",status="200"} 3\n',
    );
    expect(text).toContain(
      'bunkhouse_http_request_duration_seconds_count{method="GET",route="/own/:id",status="401"} 2\n',
    );
    expect(text).toContain('le="+Inf"} 3\n');
  });

  test('words that clients make up as methods share one series', async () => {
    const { metrics, gate } = open();
    for (const method of ['PROPFIND', 'PURGE', 'MKCOL']) await gate.send(method, '/open');
    expect(metrics.render()).toContain('_count{method="other",route="none",status="405"} 3\n');
  });
});
