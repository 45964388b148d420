import { describe, expect, test } from 'bun:test';
import { createTargets, findRoute } from '../../../src/modules/proxy/targets.ts';
import { fakeClock } from '../../support/fakes.ts';

describe('which route takes a path', () => {
  const routes = ['', '/shop', '/shop/menu'].map((prefix) => ({ prefix, origins: ['http://a'] as const }));
  const cases: [path: string, prefix: string | null][] = [
    ['/', ''],
    ['/other', ''],
    ['/shop', '/shop'],
    ['/shop/', '/shop'],
    ['/shop/a', '/shop'],
    ['/shopping', ''],
    ['/shop/menu/x', '/shop/menu'],
    ['/shop/menus', '/shop'],
    ['/SHOP/a', ''],
    ['/shop/..hidden/a.b', '/shop'],
    ['/shop/../admin', null],
    ['/shop/%2e%2e/admin', null],
    ['/shop/.%2E/admin', null],
    ['/shop/%2e', null],
    ['/shop/..\\admin', null],
  ];
  test.each(cases)('%s → %p', (path, prefix) => {
    expect(findRoute(routes, path)?.prefix ?? null).toBe(prefix);
  });
});

describe('which server is asked first', () => {
  test('the one with the fewest requests under way, and in turn among equals', () => {
    const targets = createTargets(['http://a', 'http://b'], fakeClock());
    const firsts = [targets.inOrder()[0]?.origin, targets.inOrder()[0]?.origin];
    expect(new Set(firsts).size).toBe(2);
    const [busy] = targets.inOrder();
    if (busy) busy.active = 3;
    for (let round = 0; round < 3; round++) expect(targets.inOrder()[0]).not.toBe(busy);
  });

  test('one that was down a moment ago comes last, however idle, and comes back', () => {
    const clock = fakeClock();
    const targets = createTargets(['http://a', 'http://b'], clock);
    const [down, other] = targets.inOrder();
    if (!down || !other) throw new Error('two were given');
    targets.markDown(down);
    other.active = 10;
    expect(targets.inOrder()).toEqual([other, down]);
    clock.turn(5_001);
    expect(targets.inOrder()[0]).toBe(down);
  });
});
