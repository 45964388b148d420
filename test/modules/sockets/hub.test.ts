import { describe, expect, test } from 'bun:test';
import { createHub } from '../../../src/modules/sockets/hub.ts';
import type { Subscription } from '../../../src/modules/sockets/outlet.ts';
import type { Bus, HistoryPage, Position, Publication } from '../../../src/ports/bus.ts';
import { eventually } from '../../support/eventually.ts';

/** A bus whose answers wait until the test lets them go. */
function slowBus() {
  const kept: Publication[] = [];
  const waiting: (() => void)[] = [];
  let epoch = 'one';
  const later = <T>(value: () => T) => new Promise<T>((resolve) => waiting.push(() => resolve(value())));
  const position = (): Position => ({ epoch, offset: kept.at(-1)?.offset ?? 0 });
  const bus = {
    subscribe: () => later(position),
    unsubscribe: () => undefined,
    history: (_topic: string, { since }: { since: Position }) =>
      later((): HistoryPage => {
        const isUnbroken = since.epoch === epoch && since.offset + 1 >= (kept[0]?.offset ?? 1);
        return { ...position(), isUnbroken, publications: kept.filter(({ offset }) => offset > since.offset) };
      }),
  } as unknown as Bus;
  return {
    bus,
    kept,
    append(offset: number): Publication {
      const publication = { offset, data: String(offset), at: 0 };
      kept.push(publication);
      return publication;
    },
    lose(next: string) {
      epoch = next;
      kept.length = 0;
    },
    /** Lets everything that waits go on, until nothing does. */
    async settle() {
      while (waiting.length > 0) {
        waiting.shift()?.();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

function openHub(slow: ReturnType<typeof slowBus>, maxHeld = 100) {
  const got = new Map<Subscription, (number | string)[]>();
  const hub = createHub({
    bus: slow.bus,
    groups: { publish: () => undefined },
    findSocket: () => null,
    maxHeld,
    onFanOut: () => undefined,
    onRecovery: () => undefined,
    onMembers: () => undefined,
    onFault: (error) => {
      throw error;
    },
  });
  const subscriber = (): Subscription => {
    const log: (number | string)[] = [];
    const subscription: Subscription = {
      topic: 't',
      channel: 't',
      encoder: { name: 'x', separator: null, publication: (_channel, { offset }) => String(offset) },
      socket: null,
      send: (frame) => void log.push(Number(frame)),
      onLost: () => {
        log.push('lost');
        return 'ended';
      },
    };
    got.set(subscription, log);
    return subscription;
  };
  const attach = async (since: Position | null) => {
    const subscription = subscriber();
    const log = got.get(subscription) as (number | string)[];
    const done = hub.attach(subscription, since, ({ offset, isRecovered, publications }) => {
      log.push(`at ${offset}${since ? ` ${isRecovered ? 'recovered' : 'not recovered'}` : ''}`);
      for (const publication of publications) log.push(publication.offset);
    });
    return { subscription, log, done };
  };
  return { hub, attach };
}

describe('the hub', () => {
  test('gives messages that come during a replay after it, each once', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow);
    for (const offset of [1, 2, 3]) slow.append(offset);
    const { log, done } = await attach({ epoch: 'one', offset: 1 });
    await slow.settle();
    await done;
    hub.onPublication('t', slow.append(4), 'one');
    expect(log).toEqual(['at 3 recovered', 2, 3, 4]);

    const second = await attach({ epoch: 'one', offset: 2 });
    // The history is read with 5 in it, and then 5 and 6 come live.
    const five = slow.append(5);
    await Promise.resolve();
    hub.onPublication('t', five, 'one');
    await slow.settle();
    hub.onPublication('t', slow.append(6), 'one');
    await second.done;
    expect(second.log).toEqual(['at 5 recovered', 3, 4, 5, 6]);
    expect(log).toEqual(['at 3 recovered', 2, 3, 4, 5, 6]);
  });

  test('does not give twice what the replay had before it came live', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow);
    const first = await attach(null);
    await slow.settle();
    await first.done;
    const one = slow.append(1);
    const second = await attach({ epoch: 'one', offset: 0 });
    await slow.settle();
    await second.done;
    hub.onPublication('t', one, 'one');
    hub.onPublication('t', slow.append(2), 'one');
    expect(second.log).toEqual(['at 1 recovered', 1, 2]);
    expect(first.log).toEqual(['at 0', 1, 2]);
  });

  test('closes a gap from history, in order, for everybody', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow);
    const { log, done } = await attach(null);
    await slow.settle();
    await done;
    for (const offset of [1, 2, 3]) slow.append(offset);
    hub.onPublication('t', slow.append(4), 'one');
    expect(log).toEqual(['at 0']);
    await slow.settle();
    hub.onPublication('t', slow.append(5), 'one');
    expect(log).toEqual(['at 0', 1, 2, 3, 4, 5]);
  });

  test('tells everybody when a gap cannot be closed, and nothing partial is given', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow);
    const { log, done } = await attach(null);
    await slow.settle();
    await done;
    hub.onPublication('t', slow.append(9), 'one');
    await slow.settle();
    expect(log).toEqual(['at 0', 'lost']);
    expect(hub.size).toBe(0);
  });

  test('finds out about a lost last message when it is told to doubt', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow);
    const { log, done } = await attach(null);
    await slow.settle();
    await done;
    slow.append(1);
    hub.onDoubt(null);
    await slow.settle();
    expect(log).toEqual(['at 0', 1]);
    slow.lose('two');
    hub.onDoubt(null);
    await slow.settle();
    expect(log).toEqual(['at 0', 1, 'lost']);
  });

  test('recovers nothing when too much came during the replay', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow, 2);
    const first = await attach(null);
    await slow.settle();
    await first.done;
    const { log, done } = await attach({ epoch: 'one', offset: 0 });
    await Promise.resolve();
    for (const offset of [1, 2, 3]) hub.onPublication('t', slow.append(offset), 'one');
    await slow.settle();
    await done;
    expect(log).toEqual(['at 3 not recovered']);
  });

  test('does not begin for a subscriber that has gone meanwhile', async () => {
    const slow = slowBus();
    const { hub, attach } = openHub(slow);
    const { subscription, log, done } = await attach({ epoch: 'one', offset: 0 });
    hub.detach(subscription);
    await slow.settle();
    expect(await done).toBe(false);
    expect(log).toEqual([]);
    await eventually(() => hub.size === 0);
  });
});
