import { expect, test } from 'bun:test';
import { LruMap } from '../../src/kernel/lru.ts';

test('never holds more than its bound, however many keys appear', () => {
  for (const capacity of [1, 2, 3, 10, 101]) {
    const map = new LruMap<number, number>(capacity);
    let most = 0;
    for (let key = 0; key < 1000; key++) {
      map.set(key, key);
      if (key % 3 === 0) map.get(key - 5);
      most = Math.max(most, map.size);
    }
    expect(most, `capacity ${capacity}`).toBeLessThanOrEqual(Math.max(2, capacity + 1));
  }
});

test('keeps what is used while others come and go', () => {
  const map = new LruMap<string, number>(10);
  map.set('kept', 1);
  for (let key = 0; key < 1000; key++) {
    map.set(`other-${key}`, key);
    expect(map.get('kept')).toBe(1);
  }
  expect(map.get('other-0')).toBeUndefined();
});

test('keeps at least the last half of what was set', () => {
  const map = new LruMap<number, number>(100);
  for (let key = 0; key < 1000; key++) map.set(key, key);
  for (let key = 951; key < 1000; key++) expect(map.get(key), String(key)).toBe(key);
});

test('the newest value counts, and a deleted one is gone for good', () => {
  const map = new LruMap<string, number>(4);
  map.set('a', 1);
  map.set('b', 2);
  map.set('c', 3);
  map.set('a', 10);
  expect(map.get('a')).toBe(10);
  map.delete('a');
  for (let round = 0; round < 3; round++) expect(map.get('a')).toBeUndefined();
  map.set('a', 11);
  expect(map.get('a')).toBe(11);
  map.clear();
  expect([map.get('a'), map.get('b'), map.size]).toEqual([undefined, undefined, 0]);
});

test('keys named like properties of every object are keys like others', () => {
  const map = new LruMap<string, number>(4);
  for (const key of ['__proto__', 'constructor', 'toString']) {
    expect(map.get(key)).toBeUndefined();
    map.set(key, 1);
    expect(map.get(key)).toBe(1);
  }
});
