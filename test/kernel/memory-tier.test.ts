import { describe, expect, test } from 'bun:test';
import { MemoryTier } from '../../src/kernel/memory-tier.ts';

describe('memory', () => {
  test('a flood of keys that are asked for once does not drive out what is asked for again', () => {
    const tier = new MemoryTier(1_000);
    const space = tier.open<number>();
    for (let index = 0; index < 50; index++) space.set(`hot${index}`, index, 10);
    for (let index = 0; index < 10_000; index++) {
      space.set(`once${index}`, index, 10);
      if (index % 20 === 0) for (let hot = 0; hot < 50; hot++) space.get(`hot${hot}`);
    }
    for (let index = 0; index < 50; index++) expect(space.get(`hot${index}`)).toBe(index);
    expect(tier.bytes).toBeLessThanOrEqual(1_000);
  });

  test('what is never asked for goes first, oldest first', () => {
    const space = new MemoryTier(30).open<string>();
    for (const key of ['a', 'b', 'c']) space.set(key, key, 10);
    space.get('a');
    space.set('d', 'd', 10);
    expect(['a', 'b', 'c', 'd'].filter((key) => space.get(key) !== undefined)).toEqual(['a', 'c', 'd']);
    expect(space.evictions).toBe(1);
  });

  test('takes nothing that is larger than all of it, and then has not the old value either', () => {
    const space = new MemoryTier(30).open<string>();
    space.set('a', 'old', 10);
    expect(space.set('a', 'new', 31)).toBe(false);
    expect(space.get('a')).toBeUndefined();
    expect(space.bytes).toBe(0);
  });

  test('what grows drives out others, and itself when it is too much for all', () => {
    const tier = new MemoryTier(30);
    const [space, other] = [tier.open<string>(), tier.open<string>()];
    for (const key of ['a', 'b']) space.set(key, key, 10);
    other.set('c', 'c', 10);
    space.grow('b', 5);
    expect([space.get('a'), space.get('b'), other.get('c'), tier.bytes]).toEqual([undefined, 'b', 'c', 25]);
    space.grow('b', 100);
    expect([space.get('b'), space.bytes]).toEqual([undefined, 0]);
    expect(tier.bytes).toBeLessThanOrEqual(30);
    space.grow('gone', 5);
    expect(space.bytes).toBe(0);
  });

  test('a sweep takes what its space says is over, and leaves what others have', () => {
    const tier = new MemoryTier(100);
    const [timed, lasting] = [tier.open<number>((until) => until < 5), tier.open<number>()];
    for (const until of [1, 9]) {
      timed.set(String(until), until, 10);
      lasting.set(String(until), until, 10);
    }
    tier.sweep(10);
    expect([[...timed.values()], [...lasting.values()]]).toEqual([[9], [1, 9]]);
  });

  test('keeps its books whatever is done to it', () => {
    const maxBytes = 500;
    const tier = new MemoryTier(maxBytes);
    const isOver = (value: number) => value % 3 === 0;
    const spaces = [tier.open(isOver), tier.open<number>()] as const;
    let state = 42;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let step = 0; step < 50_000; step++) {
      const space = spaces[random(2) as 0 | 1];
      const key = String(random(80));
      const what = random(100);
      if (what < 40) space.set(key, step, 1 + random(40));
      else if (what < 80) space.get(key);
      else if (what < 90) space.grow(key, random(30));
      else if (what < 97) space.delete(key);
      else if (what < 99) tier.sweep(random(30));
      else if (random(20) === 0) space.clear();
      expect(tier.bytes).toBe(spaces[0].bytes + spaces[1].bytes);
      expect(tier.entries).toBe(spaces[0].size + spaces[1].size);
      expect(tier.bytes).toBeLessThanOrEqual(maxBytes);
    }
    for (const space of spaces) expect([...space.values()]).toHaveLength(space.size);
  });
});
