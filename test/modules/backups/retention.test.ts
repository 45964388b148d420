import { describe, expect, test } from 'bun:test';
import { readBackupKeep } from '../../../src/config/backup-keep.ts';
import type { Check } from '../../../src/modules/backups/check.ts';
import type { Manifest } from '../../../src/modules/backups/manifest.ts';
import { planForget } from '../../../src/modules/backups/retention.ts';

const NOW = Date.parse('2026-11-23T12:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Only what retention looks at. */
const snapshot = (createdAt: number | string, more: Partial<Manifest> = {}) => {
  const iso = new Date(createdAt).toISOString();
  return { id: iso, createdAt: iso, installation: 'here', scope: 'system', userId: null, ...more } as Manifest;
};
const check = (manifest: Manifest, kind: Check['kind'], ok = true, afterMs = 0): Check => ({
  id: `${manifest.id}-${kind}-${afterMs}`,
  snapshot: manifest.id,
  kind,
  startedAt: new Date(Date.parse(manifest.createdAt) + afterMs).toISOString(),
  tookMs: 1,
  ok,
  findings: [],
});
const keptOf = (manifests: readonly Manifest[], rule: string, checks: readonly Check[] = []) =>
  planForget(manifests, checks, readBackupKeep(rule), NOW).keep.map(({ manifest }) => manifest.createdAt.slice(0, 16));

const hourly = Array.from({ length: 24 * 400 }, (_, index) => snapshot(NOW - index * HOUR));

describe('a rule keeps', () => {
  test.each([
    ['last=3', ['2026-11-23T12:00', '2026-11-23T11:00', '2026-11-23T10:00']],
    ['daily=3', ['2026-11-23T12:00', '2026-11-22T23:00', '2026-11-21T23:00']],
    // The 22nd of November 2026 is a Sunday.
    ['weekly=3', ['2026-11-23T12:00', '2026-11-22T23:00', '2026-11-15T23:00']],
    ['monthly=2', ['2026-11-23T12:00', '2026-10-31T23:00']],
    ['yearly=2', ['2026-11-23T12:00', '2025-12-31T23:00']],
    ['last=1,hourly=2,daily=2', ['2026-11-23T12:00', '2026-11-23T11:00', '2026-11-22T23:00']],
    ['yearly=9', ['2026-11-23T12:00', '2025-12-31T23:00']],
  ])('%s', (rule, expected) => {
    expect(keptOf(hourly, rule)).toEqual(expected);
  });

  test('periods that have a backup, however far apart they are', () => {
    const rare = ['2026-01-01T00:00', '2025-06-01T00:00', '2024-02-29T00:00', '2020-01-01T00:00'].map((at) =>
      snapshot(`${at}:00.000Z`),
    );
    expect(keptOf(rare, 'daily=3')).toEqual(['2026-01-01T00:00', '2025-06-01T00:00', '2024-02-29T00:00']);
  });
});

describe('whatever the rule', () => {
  test('the newest that was verified stays, and one that was found damaged since is none', () => {
    const [a, b, c, d] = [0, 1, 2, 3].map((days) => snapshot(NOW - days * DAY)) as [
      Manifest,
      Manifest,
      Manifest,
      Manifest,
    ];
    const all = [a, b, c, d];
    expect(keptOf(all, 'last=1', [check(c, 'full'), check(d, 'full')])).toEqual([
      '2026-11-23T12:00',
      '2026-11-21T12:00',
    ]);
    const damaged = [check(c, 'full'), check(c, 'quick', false, HOUR), check(d, 'full')];
    expect(keptOf(all, 'last=1', damaged)).toEqual(['2026-11-23T12:00', '2026-11-20T12:00']);
    expect(keptOf(all, 'last=1', [check(b, 'quick'), check(d, 'write')])).toEqual([
      '2026-11-23T12:00',
      '2026-11-20T12:00',
    ]);
    expect(keptOf(all, 'last=1', [check(a, 'write'), check(d, 'test-restore')])).toEqual([
      '2026-11-23T12:00',
      '2026-11-20T12:00',
    ]);
  });

  test('systems and scopes do not take places from each other, and what users made for themselves stays', () => {
    const old = NOW - 100 * DAY;
    const all = [
      snapshot(NOW),
      snapshot(old, { installation: 'there' }),
      snapshot(old, { scope: 'user', userId: 'a' }),
      snapshot(old - DAY, { scope: 'user', userId: 'a' }),
      snapshot(old - DAY, { scope: 'user', userId: 'b' }),
      // Who asked for a backup of the system does not matter.
      snapshot(NOW - DAY, { userId: 'b' }),
    ];
    const { forget } = planForget(all, [], readBackupKeep('last=1'), NOW);
    expect(forget).toEqual([all[5]] as Manifest[]);
  });

  test('a clock that jumped ahead pushes nobody out', () => {
    const ahead = snapshot(NOW + 400 * DAY);
    const all = [ahead, ...Array.from({ length: 5 }, (_, days) => snapshot(NOW - days * DAY))];
    expect(keptOf(all, 'last=2,daily=3').length).toBe(4);
    // For a clock that is behind all of them are from the future.
    expect(planForget(all, [], readBackupKeep('last=1'), NOW - 900 * DAY).forget).toEqual([]);
  });

  test('the only one stays', () => {
    expect(keptOf([snapshot(NOW - 900 * DAY)], 'hourly=1')).toHaveLength(1);
  });
});
