import { describe, expect, test } from 'bun:test';
import { memoryBus } from '../../../src/drivers/memory-bus.ts';
import { busContract, recordingListener } from '../../contracts/bus.ts';
import { fakeClock } from '../../support/fakes.ts';

const bounds = { maxCount: 5, maxBytes: 10_000, maxAgeMs: 300_000 };

busContract('the memory of one process', async () => {
  const clock = fakeClock();
  const bus = memoryBus({ clock, bounds });
  return { bus, other: bus, turn: async (ms) => clock.turn(ms), close: () => bus.close() };
});

describe('the memory of one process', () => {
  test('has other epochs in its next life', async () => {
    const positions = [memoryBus({ clock: fakeClock() }), memoryBus({ clock: fakeClock() })].map((bus) =>
      bus.publish('t', { data: '1' }),
    );
    const [one, two] = await Promise.all(positions);
    expect(one?.epoch).not.toBe(two?.epoch);
  });

  test('forgets the quietest topics past its bound, and they come back in another epoch', async () => {
    const bus = memoryBus({ clock: fakeClock(), maxStreams: 3 });
    bus.listen(recordingListener());
    await bus.subscribe('heard');
    const first = await bus.publish('quiet', { data: '1' });
    for (const topic of ['heard', 'a', 'b', 'c']) await bus.publish(topic, { data: '1' });
    const again = await bus.publish('quiet', { data: '2' });
    expect(again.offset).toBe(1);
    expect(again.epoch).not.toBe(first.epoch);
    expect((await bus.publish('heard', { data: '2' })).offset).toBe(2);
  });

  test('past its bound of bytes it drops old history and keeps the numbers', async () => {
    const bus = memoryBus({ clock: fakeClock(), maxBytes: 20_000 });
    for (let index = 0; index < 10; index++) await bus.publish(`t${index}`, { data: JSON.stringify('x'.repeat(5000)) });
    const [oldest, newest] = [await bus.history('t0', { limit: 10 }), await bus.history('t9', { limit: 10 })];
    expect([oldest.offset, oldest.publications.length]).toEqual([1, 0]);
    expect([newest.offset, newest.publications.length]).toEqual([1, 1]);
  });
});
