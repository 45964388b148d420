import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.ts';
import { openSockets } from './support.ts';

const GUIDE = readFileSync(join(import.meta.dirname, '../../../docs/sockets.md'), 'utf8');

test('the raw client of the guide gets messages, stays alive and recovers', async () => {
  const code = /## A raw client[\s\S]*?```js\n([\s\S]*?)```/.exec(GUIDE)?.[1] ?? '';
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(22);
  const start = new Function(
    'url',
    'token',
    'topic',
    'position',
    'onMessage',
    `${code}\nreturn { socket, position: () => position };`,
  );
  await using house = await openSockets();
  const got: unknown[] = [];
  const connect = (position: object) =>
    start(house.websocketUrl, house.token('ada'), 'public.x', position, (...message: unknown[]) =>
      got.push(message),
    ) as {
      socket: WebSocket;
      position: () => { offset?: number };
    };
  const first = connect({});
  await eventually(() => first.position().offset === 0);
  await house.publish('public.x', 'one');
  await eventually(() => got.length === 1);
  house.clock.turn(25_000);
  house.sockets.tick();
  await house.publish('public.x', 'two');
  await eventually(() => got.length === 2);
  // By the answer to this, the client's own answer to the ping has been read.
  await house.call('GET', '/connection/websocket');
  house.clock.turn(8_001);
  house.sockets.tick();
  expect(first.socket.readyState).toBe(WebSocket.OPEN);
  first.socket.close();
  await house.publish('public.x', 'three');
  connect(first.position());
  await eventually(() => got.length === 3);
  expect(got).toEqual([
    ['one', 1],
    ['two', 2],
    ['three', 3],
  ]);
});

test('the limits of the guide are those in force', async () => {
  const { SOCKET_LIMITS: limits } = await import('../../../src/modules/sockets/limits.ts');
  expect(limits).toMatchObject({
    maxBacklogBytes: 1024 * 1024,
    maxMessageBytes: 64 * 1024,
    maxFrameBytes: 256 * 1024,
    maxTopicsPerConnection: 128,
    commandBurst: 1000,
    commandsPerSecond: 500,
    connectDeadlineMs: 15_000,
    pingMs: 25_000,
    pongMs: 8_000,
    maxConnections: 100_000,
    maxPerUser: 16_384,
  });
});
