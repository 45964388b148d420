import type { Check } from './check.ts';
import type { Manifest } from './manifest.ts';

/** How many backups are kept: the latest, and the latest one of so many hours, days, weeks, months and years that have one. */
export interface KeepRule {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

export interface RetentionPlan {
  readonly keep: readonly { readonly manifest: Manifest; readonly reasons: readonly string[] }[];
  readonly forget: readonly Manifest[];
}

const DAY_MS = 86_400_000;
/** A snapshot that claims to be from so far ahead was made by a clock that was wrong. */
const AHEAD_MS = DAY_MS;

/** Which hour, day, … a moment is in, UTC. Weeks begin on Monday. */
const PERIODS: Readonly<Record<Exclude<keyof KeepRule, 'last'>, (iso: string) => string>> = {
  hourly: (iso) => iso.slice(0, 13),
  daily: (iso) => iso.slice(0, 10),
  weekly: (iso) => String(Math.floor((Date.parse(iso) / DAY_MS + 3) / 7)),
  monthly: (iso) => iso.slice(0, 7),
  yearly: (iso) => iso.slice(0, 4),
};

/**
 * Decides which snapshots may go. Those of different systems, scopes and users are looked at apart. Periods are those of the
 * snapshots themselves, so no clock that jumped makes them old.
 *
 * Always kept, whatever the rule: of each group the newest, the newest that was verified and the newest that was restored for a
 * test; those of users, who made each of them and delete them themselves; and those from the future, which take
 * nobody's place.
 */
export function planForget(
  manifests: readonly Manifest[],
  checks: readonly Check[],
  rule: KeepRule,
  nowMs: number,
): RetentionPlan {
  const keep: RetentionPlan['keep'][number][] = [];
  const forget: Manifest[] = [];
  for (const group of groupsOf(manifests)) {
    const reasons = reasonsToKeep(group, checks, rule, nowMs);
    for (const manifest of group) {
      const own = reasons.get(manifest);
      if (own) keep.push({ manifest, reasons: own });
      else forget.push(manifest);
    }
  }
  return { keep, forget };
}

/** @param group newest first. */
function reasonsToKeep(group: readonly Manifest[], checks: readonly Check[], rule: KeepRule, nowMs: number) {
  const reasons = new Map<Manifest, string[]>();
  const add = (manifest: Manifest | undefined, reason: string): void => {
    if (manifest) reasons.set(manifest, [...(reasons.get(manifest) ?? []), reason]);
  };
  const isAhead = ({ createdAt }: Manifest) => Date.parse(createdAt) > nowMs + AHEAD_MS;
  for (const manifest of group) {
    if (manifest.scope === 'user') add(manifest, 'of a user');
    if (isAhead(manifest)) add(manifest, 'from the future');
  }
  const counted = group.filter((manifest) => !isAhead(manifest));
  add(counted[0], 'newest');
  add(
    counted.find((manifest) => isVerified(manifest, checks)),
    'newest verified',
  );
  add(
    counted.find((manifest) => isVerified(manifest, checks, 'test-restore')),
    'newest restored for a test',
  );
  for (const manifest of counted.slice(0, rule.last)) add(manifest, 'last');
  for (const [name, periodOf] of Object.entries(PERIODS)) {
    const seen = new Set<string>();
    for (const manifest of counted) {
      if (seen.size === rule[name as keyof typeof PERIODS]) break;
      const period = periodOf(manifest.createdAt);
      if (!seen.has(period)) add(manifest, name);
      seen.add(period);
    }
  }
  return reasons;
}

/** Whether a snapshot was read in full, or restored, and nothing was found wrong with it since. */
function isVerified({ id }: Manifest, checks: readonly Check[], kind?: Check['kind']): boolean {
  const own = checks
    .filter(({ snapshot }) => snapshot === id)
    .toSorted((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt));
  const kinds = kind ? [kind] : ['write', 'full', 'test-restore'];
  return own[0]?.ok === true && own.some((check) => check.ok && kinds.includes(check.kind));
}

/** Each newest first. */
function groupsOf(manifests: readonly Manifest[]): Iterable<readonly Manifest[]> {
  const sorted = manifests.toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  return Map.groupBy(sorted, ({ installation, scope, userId }) =>
    JSON.stringify([installation, scope, scope === 'user' ? userId : null]),
  ).values();
}
