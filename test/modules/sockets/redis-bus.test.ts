import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import PusherServer from 'pusher';
import { fallbackBus } from '../../../src/drivers/fallback-bus.ts';
import { memoryBus } from '../../../src/drivers/memory-bus.ts';
import { redisBus } from '../../../src/drivers/redis-bus.ts';
import type { Published } from '../../../src/ports/bus.ts';
import { busContract, recordingListener } from '../../contracts/bus.ts';
import { eventually } from '../../support/eventually.ts';
import { type FakeClock, fakeClock } from '../../support/fakes.ts';
import { connectCentrifugo, connectWebSocket, publicationsOf } from './raw-client.ts';
import { hasRedis, startRedis, type TestRedis } from './redis-server.ts';
import { openSockets } from './support.ts';

const bounds = { maxCount: 5, maxBytes: 10_000, maxAgeMs: 300_000 };

describe.skipIf(!hasRedis)('with Redis', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  const open = async (clock: FakeClock) => {
    const bus = redisBus({ url: redis.url, clock, bounds, onFault: () => undefined });
    await eventually(() => bus.isUp);
    return bus;
  };

  busContract('Redis', async () => {
    const clock = fakeClock();
    const [bus, other] = [await open(clock), await open(clock)];
    return {
      bus,
      other,
      turn: async (ms) => clock.turn(ms),
      async close() {
        await Promise.all([bus.close(), other.close()]);
      },
    };
  });

  test('listens again by itself after the server was gone, and has another epoch', async () => {
    const bus = await open(fakeClock());
    const heard = recordingListener();
    bus.listen(heard);
    const before = await bus.subscribe('again');
    await bus.publish('again', { data: '1' });
    await eventually(() => heard.publications.length === 1);
    await redis.kill();
    await eventually(() => !bus.isUp);
    await expect(bus.publish('again', { data: 'lost' })).rejects.toThrow();
    await redis.start();
    await eventually(() => bus.isUp && heard.doubts.includes(null));
    const { epoch, offset } = await bus.publish('again', { data: '2' });
    expect(offset).toBe(1);
    expect(epoch).not.toBe(before.epoch);
    await eventually(() => heard.publications.length === 2);
    expect(heard.publications.at(-1)).toMatchObject({ epoch, publication: { data: '2' } });
    await bus.close();
  });

  test('what was published alone breaks the epoch everywhere, and each absence has its own', async () => {
    const clock = fakeClock();
    const alone: Promise<Published>[] = [];
    const remote = redisBus({
      url: redis.url,
      clock,
      onFault: () => undefined,
      onChange: (isUp) => {
        if (!isUp) alone.push(bus.publish('stray', { data: '"alone"' }));
      },
    });
    const bus = fallbackBus(remote, memoryBus({ clock }), 0);
    bus.listen(recordingListener());
    const other = await open(clock);
    const heard = recordingListener();
    other.listen(heard);
    await eventually(() => remote.isUp);
    await other.subscribe('stray');
    const admin = new Bun.RedisClient(redis.url);
    const epochs = [];
    for (let absence = 1; absence <= 2; absence++) {
      epochs.push((await bus.publish('stray', { data: '"together"' })).epoch);
      for (const kind of ['normal', 'pubsub']) await admin.send('CLIENT', ['KILL', 'TYPE', kind, 'SKIPME', 'yes']);
      await eventually(() => alone.length === absence && remote.isUp && other.isUp);
      epochs.push((await (alone.at(-1) as Promise<Published>)).epoch);
    }
    const { epoch, offset } = await other.history('stray', { limit: 0 });
    expect(new Set([...epochs, epoch]).size).toBe(5);
    expect(offset).toBe(0);
    await eventually(() => heard.doubts.includes('stray') || heard.doubts.includes(null));
    admin.close();
    await Promise.all([bus.close(), other.close()]);
  });

  test('connections to Redis that are cut cost nothing: what is published waits for the next', async () => {
    const clock = fakeClock();
    let absences = 0;
    const waiting: Promise<Published>[] = [];
    const remote = redisBus({
      url: redis.url,
      clock,
      onFault: () => undefined,
      onChange: (isUp) => {
        if (isUp) return;
        absences++;
        waiting.push(bus.publish('cut', { data: '"waiting"' }));
      },
    });
    // Longer than any machine takes to connect.
    const bus = fallbackBus(remote, memoryBus({ clock }), 20_000);
    const heard = recordingListener();
    bus.listen(heard);
    await eventually(() => remote.isUp);
    const { epoch } = await bus.subscribe('cut');
    const admin = new Bun.RedisClient(redis.url);
    for (const kind of ['normal', 'pubsub']) await admin.send('CLIENT', ['KILL', 'TYPE', kind, 'SKIPME', 'yes']);
    await eventually(() => absences > 0 && remote.isUp);
    for (const each of await Promise.all(waiting)) expect(each.epoch).toBe(epoch);
    expect((await bus.history('cut', { limit: 10 })).publications).toHaveLength(waiting.length);
    await eventually(() => heard.publications.length === waiting.length);
    admin.close();
    await bus.close();
  });

  test('the audience is known again after the server was gone, and without a process that closed', async () => {
    const [bus, other] = [await open(fakeClock()), await open(fakeClock())];
    await bus.audience.set(new Map([['news', 2]]));
    await other.audience.set(new Map([['news', 3]]));
    await redis.kill();
    await eventually(() => !bus.isUp && !other.isUp);
    await bus.audience.set(new Map([['more', 1]])).catch(() => undefined);
    await redis.start();
    const count = (name: string) => bus.audience.count(name).catch(() => 0);
    await eventually(async () => (await count('news')) === 5 && (await count('more')) === 1);
    await other.close();
    expect(await bus.audience.list()).toEqual(
      new Map([
        ['news', 2],
        ['more', 1],
      ]),
    );
    await bus.close();
  });

  test('Pusher’s API counts over all machines', async () => {
    const pusher = { id: 'app', key: 'key', secret: 'secret' };
    const bus = (clock: FakeClock) =>
      fallbackBus(redisBus({ url: redis.url, clock, onFault: () => undefined }), memoryBus({ clock }));
    await using one = await openSockets({ bus, pusher });
    await using two = await openSockets({ bus, pusher });
    await eventually(async () =>
      (await Promise.allSettled([one.bus.ping(), two.bus.ping()])).every(({ status }) => status === 'fulfilled'),
    );
    for (const { url } of [one, two, two]) {
      const client = await connectWebSocket(`${url.replace('http', 'ws')}/app/key?protocol=7`);
      client.send({ event: 'pusher:subscribe', data: { channel: 'news' } });
      await client.until(({ event }) => event === 'pusher_internal:subscription_succeeded');
    }
    const clients = [one, two].map(
      ({ port }) =>
        new PusherServer({
          appId: 'app',
          key: 'key',
          secret: 'secret',
          host: '127.0.0.1',
          port: `${port}`,
          cluster: '',
        }),
    );
    for (const client of clients) {
      const get = async (path: string, params = {}) => (await client.get({ path, params })).json();
      await eventually(
        async () => (await get('/channels/news', { info: 'subscription_count' })).subscription_count === 3,
      );
      expect(await get('/channels', { info: 'subscription_count' })).toEqual({
        channels: { news: { subscription_count: 3 } },
      });
      const answer = await client.trigger('news', 'x', {}, { info: 'subscription_count' });
      expect(await answer.json()).toEqual({ channels: { news: { subscription_count: 3 } } });
    }
  });

  test('the presence of a machine that died ends with its leases', async () => {
    const clock = fakeClock();
    const [dead, alive] = [await open(clock), await open(clock)];
    const heard = recordingListener();
    alive.listen(heard);
    await alive.subscribe('room');
    await dead.presence.join('room', { client: 'ghost', user: 'u' });
    await alive.presence.join('room', { client: 'here', user: 'v' });
    await dead.close();
    clock.turn(40_000);
    await alive.presence.touch([{ topic: 'room', member: { client: 'here', user: 'v' } }]);
    expect(await alive.presence.count('room')).toEqual({ clients: 2, users: 2 });
    clock.turn(40_000);
    expect(await alive.presence.count('room')).toEqual({ clients: 1, users: 1 });
    await eventually(() =>
      heard.presence.some(({ change }) => change.kind === 'leave' && change.member.client === 'ghost'),
    );
    await alive.close();
  });

  test('two machines are one: messages, recovery, presence and revocation', async () => {
    const clock = fakeClock();
    const rules = { 'room.*': { subscribe: 'user', publish: 'user', presence: 'user' } } as const;
    const bus = (of: FakeClock) =>
      fallbackBus(redisBus({ url: redis.url, clock: of, onFault: () => undefined }), memoryBus({ clock: of }));
    await using one = await openSockets({ clock, rules, bus });
    await using two = await openSockets({ clock, rules, bus });
    await eventually(async () =>
      (await Promise.allSettled([one.bus.ping(), two.bus.ping()])).every(({ status }) => status === 'fulfilled'),
    );

    const ada = await connectCentrifugo(one.websocketUrl, one.token('ada'));
    const bob = await connectCentrifugo(two.websocketUrl, two.token('bob'));
    for (const client of [ada, bob]) await client.ask({ subscribe: { channel: 'room.x', join_leave: true } });
    for (let index = 0; index < 50; index++)
      await (index % 2 ? ada : bob).ask({ publish: { channel: 'room.x', data: index } });
    for (const client of [ada, bob]) {
      await eventually(() => publicationsOf(client, 'room.x').length === 50);
      expect(publicationsOf(client, 'room.x').map(({ data, offset }) => [data, offset])).toEqual(
        Array.from({ length: 50 }, (_, index) => [index, index + 1]),
      );
    }
    expect(await ada.ask({ presence_stats: { channel: 'room.x' } })).toMatchObject({
      presence_stats: { num_clients: 2, num_users: 2 },
    });

    // What was missed on one machine is had on the other.
    const { epoch } = await two.bus.history('room.x', { limit: 0 });
    const moved = await connectCentrifugo(two.websocketUrl, two.token('ada'));
    const reply = await moved.ask({ subscribe: { channel: 'room.x', recover: true, epoch, offset: 48 } });
    expect(reply).toMatchObject({ subscribe: { recovered: true, publications: [{ offset: 49 }, { offset: 50 }] } });

    one.events.emit('auth/sessions-revoked', { userId: 'bob', sessionId: null });
    expect((await bob.closed).code).toBe(3500);
  });

  test('clients of one machine go on while Redis is gone, and are told on both ways over', async () => {
    const bus = (clock: FakeClock) =>
      fallbackBus(redisBus({ url: redis.url, clock, onFault: () => undefined }), memoryBus({ clock }));
    await using house = await openSockets({ bus });
    const isUp = async () =>
      house.bus.ping().then(
        () => true,
        () => false,
      );
    await eventually(isUp);
    const lost = (count: number) => () =>
      client.frames.filter(
        ({ push }) => (push as { unsubscribe?: { code: number } } | undefined)?.unsubscribe?.code === 2500,
      ).length === count;
    const client = await connectCentrifugo(house.websocketUrl);
    await client.ask({ subscribe: { channel: 'public.x' } });
    await house.publish('public.x', 'shared');
    await redis.kill();
    await eventually(async () => !(await isUp()));
    await house.publish('public.x', 'alone');
    await eventually(lost(1));
    expect(await client.ask({ subscribe: { channel: 'public.x' } })).toHaveProperty('subscribe');
    await house.publish('public.x', 'among us');
    await eventually(() => publicationsOf(client, 'public.x').some(({ data }) => data === 'among us'));
    await redis.start();
    await eventually(lost(2));
    const { subscribe } = (await client.ask({ subscribe: { channel: 'public.x' } })) as {
      subscribe: { epoch: string };
    };
    expect((await house.publish('public.x', 'shared again')).epoch).toBe(subscribe.epoch);
    await eventually(() => publicationsOf(client, 'public.x').some(({ data }) => data === 'shared again'));
  });
});
