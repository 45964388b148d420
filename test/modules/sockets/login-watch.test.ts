import { describe, expect, test } from 'bun:test';
import type { EndedLogin } from '../../../src/modules/auth/index.ts';
import { createLoginWatch } from '../../../src/modules/sockets/login-watch.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fakes.ts';
import { connectCentrifugo } from './raw-client.ts';
import { openSockets } from './support.ts';

/** A watch over logins that are made up, with one connection. */
function openWatch(version: () => number | null, size = 1) {
  const clock = fakeClock();
  const asked: number[] = [];
  const faults: unknown[] = [];
  const answers: (EndedLogin[] | Error)[] = [];
  const watch = createLoginWatch({
    clock,
    registry: { size, ofUser: () => [] } as never,
    logins: {
      version,
      async findEnded(since) {
        asked.push(since);
        const answer = answers.shift() ?? [];
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    onFault: (error) => faults.push(error),
  });
  const look = async () => {
    watch();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, asked, faults, answers, look };
}

describe('the watch over logins', () => {
  test('asks when the database has changed, and only then', async () => {
    let version = 1;
    const { asked, look } = openWatch(() => version);
    await look();
    await look();
    expect(asked).toHaveLength(1);
    version++;
    await look();
    await look();
    expect(asked).toHaveLength(2);
  });

  test('asks about once a second where changes cannot be told', async () => {
    const { asked, clock, look } = openWatch(() => null);
    await look();
    clock.turn(500);
    await look();
    expect(asked).toHaveLength(1);
    clock.turn(500);
    await look();
    expect(asked).toHaveLength(2);
  });

  test('asks nothing while nobody is connected', async () => {
    const { asked, look } = openWatch(() => null, 0);
    await look();
    expect(asked).toEqual([]);
  });

  test('goes on from the newest end it has seen, however late it learns of it', async () => {
    let version = 1;
    const { asked, answers, clock, look } = openWatch(() => version++);
    const start = clock.now();
    answers.push([], [{ userId: 'u', sessionId: 's', endedAt: start + 60_000 }]);
    await look();
    clock.turn(600_000);
    await look();
    await look();
    expect(asked).toEqual([start - 10_000, start - 10_000, start + 50_000]);
  });

  test('asks again after a failure', async () => {
    const { asked, answers, faults, look } = openWatch(() => 1);
    answers.push(new Error('away'));
    await look();
    await look();
    expect(asked).toHaveLength(2);
    expect(faults).toHaveLength(1);
  });
});

test('a login that another process ended takes its connections along, and no others', async () => {
  const ended: EndedLogin[] = [];
  await using house = await openSockets({
    logins: { version: () => ended.length, findEnded: async () => ended },
  });
  const one = await connectCentrifugo(house.websocketUrl, house.token('ada', { session: 'one' }));
  const two = await connectCentrifugo(house.websocketUrl, house.token('ada', { session: 'two' }));
  ended.push({ userId: 'ada', sessionId: 'one', endedAt: house.clock.now() });
  expect((await one.closed).code).toBe(3500);
  await eventually(async () => 'ping' in (await two.ask({ ping: {} })));
  expect(two.isClosed()).toBe(false);
});
