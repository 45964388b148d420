import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { Bus, BusListener, PresenceChange, Publication, Signal } from '../../src/ports/bus.ts';
import { eventually } from '../support/eventually.ts';

export interface BusUnderTest {
  readonly bus: Bus;
  /** A second process on the same bus; the same one where there is only one. */
  readonly other: Bus;
  /** Lets time pass for everything that is kept. */
  turn(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface Heard {
  readonly publications: { topic: string; publication: Publication; epoch: string }[];
  readonly presence: { topic: string; change: PresenceChange }[];
  readonly signals: Signal[];
  readonly doubts: (string | null)[];
}

/** A listener that keeps what it hears. */
export function recordingListener(): Heard & BusListener {
  const heard: Heard = { publications: [], presence: [], signals: [], doubts: [] };
  return {
    ...heard,
    onPublication: (topic, publication, epoch) => void heard.publications.push({ topic, publication, epoch }),
    onPresence: (topic, change) => void heard.presence.push({ topic, change }),
    onSignal: (signal) => void heard.signals.push(signal),
    onDoubt: (topic) => void heard.doubts.push(topic),
  };
}

/** What every {@link Bus} does. Bounds under test: 5 messages, 10 KB, 300 seconds. */
export function busContract(name: string, open: () => Promise<BusUnderTest>): void {
  describe(`${name} as a bus`, () => {
    let subject: BusUnderTest;
    let bus: Bus;
    let heard: Heard & BusListener;
    let topic: string;
    let count = 0;
    beforeEach(async () => {
      subject = await open();
      bus = subject.bus;
      heard = recordingListener();
      bus.listen(heard);
      if (subject.other !== bus) subject.other.listen(recordingListener());
      topic = `topic.${process.pid}.${Date.now()}.${++count}`;
    });
    afterEach(() => subject.close());

    const publish = (data: unknown, to = topic, key?: string) => bus.publish(to, { data: JSON.stringify(data) }, key);
    const offsets = (of: readonly Publication[]) => of.map(({ offset }) => offset);

    test('numbers each topic from 1, in one epoch', async () => {
      const first = await publish('a');
      const second = await publish('b');
      expect([first.offset, second.offset]).toEqual([1, 2]);
      expect(second.epoch).toBe(first.epoch);
      expect((await publish('c', `${topic}.other`)).offset).toBe(1);
    });

    test('numbers without gaps however many publish at once', async () => {
      const published = await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          (index % 2 === 0 ? bus : subject.other).publish(topic, { data: String(index) }),
        ),
      );
      expect(published.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
    });

    test('delivers what comes after subscribing, in order, wherever it was published', async () => {
      await publish('before');
      const position = await bus.subscribe(topic);
      expect(position.offset).toBe(1);
      for (let index = 0; index < 20; index++)
        await (index % 2 === 0 ? bus : subject.other).publish(topic, { data: String(index), name: 'n' });
      await eventually(() => heard.publications.length === 20);
      expect(heard.publications.map(({ publication }) => publication.offset)).toEqual(
        Array.from({ length: 20 }, (_, index) => index + 2),
      );
      expect(heard.publications[0]).toMatchObject({
        topic,
        epoch: position.epoch,
        publication: { data: '0', name: 'n' },
      });
    });

    test('delivers nothing of topics that are not, or no longer, subscribed to', async () => {
      await bus.subscribe(topic);
      await publish('heard');
      await eventually(() => heard.publications.length === 1);
      bus.unsubscribe(topic);
      await publish('unheard');
      await publish('unheard', `${topic}.other`);
      await bus.subscribe(`${topic}.last`);
      await publish('last', `${topic}.last`);
      await eventually(() => heard.publications.length === 2);
      expect(heard.publications.map(({ publication }) => publication.data)).toEqual(['"heard"', '"last"']);
    });

    test('carries every field of a message, and text of any kind', async () => {
      await bus.subscribe(topic);
      const draft = {
        data: '{"x":"\\u0000é😀"}',
        name: 'a "name"',
        from: { client: 'c', user: 'u', info: '{"n":1}' },
        except: '1.2',
      };
      await bus.publish(topic, draft);
      await eventually(() => heard.publications.length === 1);
      expect(heard.publications[0]?.publication).toMatchObject(draft);
      expect((await bus.history(topic, { limit: 1 })).publications[0]).toMatchObject({
        data: draft.data,
        name: draft.name,
        from: draft.from,
      });
    });

    test('gives history forwards, backwards and from a position', async () => {
      for (const data of [1, 2, 3, 4, 5]) await publish(data);
      const { epoch, offset, publications } = await bus.history(topic, { limit: 2 });
      expect([offset, offsets(publications)]).toEqual([5, [1, 2]]);
      const since = { epoch, offset: 3 };
      expect(offsets((await bus.history(topic, { limit: 10, since })).publications)).toEqual([4, 5]);
      expect(offsets((await bus.history(topic, { limit: 10, isReverse: true })).publications)).toEqual([5, 4, 3, 2, 1]);
      expect(offsets((await bus.history(topic, { limit: 1, since, isReverse: true })).publications)).toEqual([2]);
      expect((await bus.history(topic, { limit: 0 })).publications).toEqual([]);
    });

    test('says whether everything since a position is kept', async () => {
      for (const data of [1, 2, 3, 4, 5, 6, 7]) await publish(data);
      const { epoch } = await bus.history(topic, { limit: 0 });
      const isUnbroken = async (offset: number, of = epoch) =>
        (await bus.history(topic, { limit: 100, since: { epoch: of, offset } })).isUnbroken;
      expect(await isUnbroken(2)).toBe(true);
      expect(await isUnbroken(7)).toBe(true);
      expect(await isUnbroken(1)).toBe(false);
      expect(await isUnbroken(8)).toBe(false);
      expect(await isUnbroken(7, 'another')).toBe(false);
    });

    test('keeps no more than its bounds: by count, by bytes and by age', async () => {
      for (let index = 0; index < 8; index++) await publish(index);
      expect(offsets((await bus.history(topic, { limit: 100 })).publications)).toEqual([4, 5, 6, 7, 8]);
      for (let index = 0; index < 3; index++) await publish('x'.repeat(4000));
      expect((await bus.history(topic, { limit: 100 })).publications.length).toBeLessThan(4);
      await subject.turn(301_000);
      const page = await bus.history(topic, { limit: 100 });
      expect(page.publications).toEqual([]);
      expect(page.offset).toBe(11);
      expect((await publish('next')).offset).toBe(12);
    });

    test('an empty topic has a position that stays true', async () => {
      const position = await bus.subscribe(topic);
      expect(position.offset).toBe(0);
      expect(position.epoch).not.toBe('');
      const { epoch } = await publish('first');
      expect(epoch).toBe(position.epoch);
      expect((await bus.history(topic, { limit: 10, since: position })).isUnbroken).toBe(true);
    });

    test('publishes once for one idempotency key of a topic, within five minutes', async () => {
      await bus.subscribe(topic);
      const first = await publish('a', topic, 'key');
      const again = await publish('a', topic, 'key');
      expect(again).toEqual({ ...first, isRepeat: true });
      expect((await publish('a', `${topic}.other`, 'key')).isRepeat).toBe(false);
      expect((await publish('b', topic, 'another')).offset).toBe(2);
      await subject.turn(301_000);
      expect((await publish('c', topic, 'key')).isRepeat).toBe(false);
    });

    test('knows who is present, and tells the edges of users', async () => {
      await bus.subscribe(topic);
      const [one, two, eve] = [
        { client: 'one', user: 'ada', info: '{"n":1}' },
        { client: 'two', user: 'ada' },
        { client: 'three', user: '__proto__' },
      ];
      for (const member of [one, two, two, eve]) await bus.presence.join(topic, member);
      expect((await bus.presence.list(topic)).toSorted((a, b) => a.client.localeCompare(b.client))).toEqual([
        one,
        eve,
        two,
      ]);
      expect(await bus.presence.count(topic)).toEqual({ clients: 3, users: 2 });
      for (const client of ['one', 'one', 'two', 'nobody']) await bus.presence.leave(topic, client);
      expect(await bus.presence.count(topic)).toEqual({ clients: 1, users: 1 });
      await eventually(() => heard.presence.length === 5);
      expect(heard.presence.map(({ change: { kind, member, isEdge } }) => [kind, member.client, isEdge])).toEqual([
        ['join', 'one', true],
        ['join', 'two', false],
        ['join', 'three', true],
        ['leave', 'one', false],
        ['leave', 'two', true],
      ]);
      expect(await bus.presence.count(`${topic}.other`)).toEqual({ clients: 0, users: 0 });
    });

    describe('a connection that was lost', () => {
      const [one, two, eve] = [
        { client: 'one', user: 'ada' },
        { client: 'two', user: 'ada' },
        { client: 'three', user: 'eve' },
      ];
      const changes = () =>
        heard.presence.map(
          ({ change: { kind, member, isEdge } }) => `${kind} ${member.client}${isEdge ? ' edge' : ''}`,
        );
      /** What was told so far, after what is told last. */
      const told = async () => {
        const mark = { client: `mark ${heard.presence.length}`.replace(' ', '-'), user: '' };
        await subject.other.presence.join(topic, mark);
        await eventually(() => heard.presence.some(({ change }) => change.member.client === mark.client));
        await subject.other.presence.leave(topic, mark.client);
        return changes().filter((change) => !change.includes('mark'));
      };
      beforeEach(async () => {
        await bus.subscribe(topic);
        await bus.presence.join(topic, one);
      });

      test('leaves when the grace is over', async () => {
        await bus.presence.fade(topic, 'one', 3_000);
        expect(await bus.presence.count(topic)).toEqual({ clients: 1, users: 1 });
        expect(await told()).toEqual(['join one edge']);
        await subject.turn(3_001);
        expect(await bus.presence.count(topic)).toEqual({ clients: 0, users: 0 });
        expect(await told()).toEqual(['join one edge', 'leave one edge']);
      });

      test('is replaced without an edge when its user is back, once that has lasted', async () => {
        await bus.presence.fade(topic, 'one', 3_000);
        await subject.other.presence.join(topic, two);
        expect(await told()).toEqual(['join one edge']);
        await subject.turn(3_001);
        expect(await bus.presence.list(topic)).toEqual([two]);
        expect(await told()).toEqual(['join one edge', 'join two', 'leave one']);
        await bus.presence.leave(topic, 'two');
        expect((await told()).at(-1)).toBe('leave two edge');
      });

      test('is not heard of while it flaps, and goes once', async () => {
        await bus.presence.fade(topic, 'one', 3_000);
        for (let index = 0; index < 20; index++) {
          const on = index % 2 ? bus : subject.other;
          await on.presence.join(topic, { client: `flap${index}`, user: 'ada' });
          await subject.turn(1_000);
          await on.presence.fade(topic, `flap${index}`, 3_000);
          await subject.turn(1_000);
        }
        expect(await told()).toEqual(['join one edge']);
        expect(await bus.presence.count(topic)).toEqual({ clients: 1, users: 1 });
        await subject.turn(3_001);
        expect(await bus.presence.count(topic)).toEqual({ clients: 0, users: 0 });
        expect(await told()).toEqual(['join one edge', 'leave one edge']);
      });

      test('stands for nobody else', async () => {
        await bus.presence.fade(topic, 'one', 3_000);
        await bus.presence.join(topic, eve);
        await bus.presence.join(topic, { client: 'anonymous', user: '' });
        await bus.presence.fade(topic, 'anonymous', 3_000);
        await bus.presence.join(topic, { client: 'another', user: '' });
        expect(await told()).toEqual(['join one edge', 'join three edge', 'join anonymous edge', 'join another']);
        await bus.presence.fade(topic, 'nobody', 3_000);
        expect(await bus.presence.count(topic)).toEqual({ clients: 4, users: 3 });
      });
    });

    test('adds up who hears what over all processes', async () => {
      await bus.audience.set(
        new Map([
          [`${topic}.a`, 2],
          [`${topic}.b`, 1],
          ['__proto__', 3],
        ]),
      );
      await bus.audience.set(new Map([[`${topic}.b`, 0]]));
      if (subject.other !== bus) {
        await subject.other.audience.set(new Map([[`${topic}.a`, 5]]));
        expect(await bus.audience.count(`${topic}.a`)).toBe(7);
        await subject.other.audience.set(new Map([[`${topic}.a`, 0]]));
      }
      for (const reader of [bus, subject.other]) {
        const list = await reader.audience.list();
        expect([...list].filter(([name]) => name.startsWith(topic))).toEqual([[`${topic}.a`, 2]]);
        expect(list.get('__proto__')).toBe(3);
        expect(await reader.audience.count(`${topic}.a`)).toBe(2);
        expect(await reader.audience.count(`${topic}.b`)).toBe(0);
      }
    });

    test('signals every process', async () => {
      const signal = { kind: 'revoke', userId: 'u', sessionId: null } as const;
      await subject.other.signal(signal);
      await eventually(() => heard.signals.length === 1);
      expect(heard.signals).toEqual([signal]);
    });
  });
}
