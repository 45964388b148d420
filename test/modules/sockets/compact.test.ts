import { describe, expect, test } from 'bun:test';
import { CompactMap, CompactSet } from '../../../src/modules/sockets/compact.ts';

describe('a compact map', () => {
  test('does what a Map does, whatever is done in whatever order', () => {
    let seed = 1;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      const [compact, plain] = [new CompactMap<string, number>(), new Map<string, number>()];
      for (let step = 0; step < 30; step++) {
        const key = `k${random(3)}`;
        if (random(20) === 0) {
          compact.clear();
          plain.clear();
        } else if (random(2) === 0) {
          compact.set(key, step);
          plain.set(key, step);
        } else expect(compact.delete(key)).toBe(plain.delete(key));
        expect([...compact]).toEqual([...plain]);
        expect([...compact.values()]).toEqual([...plain.values()]);
        expect([compact.size, compact.has(key), compact.get(key)]).toEqual([
          plain.size,
          plain.has(key),
          plain.get(key),
        ]);
      }
    }
  });

  test('may be changed while it is gone through', () => {
    const map = new CompactMap<string, number>().set('a', 1).set('b', 2);
    for (const [key] of map) map.delete(key);
    expect(map.size).toBe(0);
  });
});

test('a compact set holds each item once', () => {
  const set = new CompactSet<string>().add('a').add('a').add('b');
  expect([...set]).toEqual(['a', 'b']);
  expect([set.size, set.has('b'), set.delete('b'), set.delete('b'), set.has('b')]).toEqual([
    2,
    true,
    true,
    false,
    false,
  ]);
});
