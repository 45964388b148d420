import { describe, expect, test } from 'bun:test';
import { createInvalidations, readInvalidations, type Target } from '../../../src/modules/cache/invalidations.ts';
import { fakeClock } from '../../support/fakes.ts';

const tag = (name: string): Target => ({ kind: 'tag', name });
const key = (name: string): Target => ({ kind: 'key', space: 's', name });

describe('notes of purges', () => {
  test('tell before from after, also within one millisecond', () => {
    const notes = createInvalidations(fakeClock());
    for (let round = 0; round < 100; round++) {
      const before = notes.tick();
      notes.add([tag('t')], false);
      const after = notes.tick();
      expect(notes.judge('s', 'k', ['t'], before)).toBe('hard');
      expect(notes.judge('s', 'k', ['t'], after)).toBe('valid');
    }
  });

  test('a hard purge stands over a soft one, in any order', () => {
    const notes = createInvalidations(fakeClock());
    const before = notes.tick();
    notes.add([tag('hard')], false);
    notes.add([tag('soft')], true);
    expect(notes.judge('s', 'k', ['soft'], before)).toBe('soft');
    expect(notes.judge('s', 'k', ['soft', 'hard'], before)).toBe('hard');
    expect(notes.judge('s', 'k', ['hard', 'soft'], before)).toBe('hard');
    const between = notes.tick();
    notes.add([tag('soft')], true);
    expect(notes.judge('s', 'k', ['soft', 'hard'], between)).toBe('soft');
  });

  test('machines whose clocks differ by less than a second purge each other’s entries, and go on making new ones', () => {
    const clock = fakeClock();
    const ahead = createInvalidations({ now: () => clock.now() + 900 });
    const behind = createInvalidations(clock);
    const entry = ahead.tick();
    const told = behind.add([tag('t')], false);
    expect(ahead.join(told)).toEqual(told);
    for (const each of [ahead, behind]) expect(each.judge('s', 'k', ['t'], entry)).toBe('hard');
    for (const each of [ahead, behind]) expect(each.judge('s', 'k', ['t'], each.tick())).toBe('valid');
  });

  test('tables become the same whatever order notes come in, and however often', () => {
    const clock = fakeClock();
    const all = [createInvalidations(clock), createInvalidations(clock), createInvalidations(clock)];
    const told = all.flatMap((each, index) => [
      ...each.add([tag(`t${index}`), tag('common'), key(`k${index}`)], false),
      ...each.add([{ kind: 'prefix', space: 's', name: `p${index}` }], true),
    ]);
    for (const [index, each] of all.entries()) {
      const turned = [...told.slice(index * 3), ...told.slice(0, index * 3), ...told];
      each.join(index === 1 ? turned.toReversed() : turned);
    }
    const [one, ...others] = all.map((each) => each.notes(100).toSorted());
    for (const other of others) expect(other).toEqual(one as never);
    expect(all[0]?.join(told)).toEqual([]);
  });

  test('a flood of tags is folded: everything of before counts as purged, nothing of after', () => {
    const notes = createInvalidations(fakeClock());
    const before = notes.tick();
    for (let index = 0; index < 10_001; index++) notes.add([tag(`t${index}`)], false);
    expect(notes.judge('s', 'k', [], before)).toBe('hard');
    expect(notes.judge('s', 'k', ['t10000'], notes.tick())).toBe('valid');
    expect(notes.notes(0).length).toBeLessThanOrEqual(10_001);
  });

  test('a flood of prefixes is folded as well', () => {
    const notes = createInvalidations(fakeClock());
    const before = notes.tick();
    for (let index = 0; index < 250; index++) notes.add([{ kind: 'prefix', space: 's', name: `p${index}/` }], false);
    expect(notes.judge('s', 'p3/x', [], before)).toBe('hard');
    expect(notes.judge('s', 'p249/x', [], before)).toBe('hard');
    expect(notes.judge('s', 'p249/x', [], notes.tick())).toBe('valid');
  });

  test('a flood of single keys purges nothing else, and fences off what is older than what was forgotten', () => {
    const notes = createInvalidations(fakeClock());
    const before = notes.tick();
    for (let index = 0; index < 10_100; index++) notes.add([key(`k${index}`)], false);
    expect(notes.judge('s', 'another', ['t'], before)).toBe('valid');
    expect(notes.canJudge(before)).toBe(false);
    expect(notes.canJudge(notes.tick())).toBe(true);
    expect(notes.notes(1_000)).toHaveLength(1_000);
  });

  test('what comes from elsewhere and is no note is left out', () => {
    const good = ['tx', 1, 0] as const;
    const bad = [
      null,
      1,
      'x',
      [],
      ['x', 1, 0],
      ['t', 'a', 0],
      ['t', 1],
      ['ks', 1, 0],
      ['t', Number.NaN, 0],
      { id: 't' },
    ];
    expect(readInvalidations([good, ...bad])).toEqual([good]);
    for (const value of [null, 'x', {}, 7]) expect(readInvalidations(value)).toEqual([]);
  });
});
