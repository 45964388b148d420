import { expect, test } from 'bun:test';
import { AddressMap } from '../../src/kernel/address-map.ts';

test('addresses of a usual length are remembered, others are not, so that it is bounded in bytes', () => {
  const map = new AddressMap<number>(10);
  const usual = `http://localhost/${'a'.repeat(2031)}`;
  map.set(usual, 1);
  map.set(`${usual}a`, 2);
  expect([map.get(usual), map.get(`${usual}a`), map.size]).toEqual([1, undefined, 1]);
});
