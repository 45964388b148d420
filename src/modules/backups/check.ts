import { type Static, Type as t } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { toStamp } from './manifest.ts';

/** The result of a verification or a test restore, kept in the repository. */
export type Check = Static<typeof checkSchema>;

/** Findings of one check; what there is beyond is counted, and its keys are kept. */
const MOST_FINDINGS = 200;
const MOST_KEYS = 100_000;
const MESSAGE_LENGTH = 10_000;
const HEALTH_LENGTH = 1_000;

const findingSchema = t.Object({
  /** What kind of damage: `missing`, `damaged`, `database`, … */
  code: t.String({ maxLength: 100 }),
  /** The object it was found in. */
  key: t.Optional(t.String({ maxLength: 400 })),
  /** What is wrong, whom it hurts and what to do. */
  message: t.String({ maxLength: MESSAGE_LENGTH }),
});

const checkSchema = t.Object({
  id: t.String({ maxLength: 100 }),
  /** Id of the backup. */
  snapshot: t.String({ maxLength: 100 }),
  kind: t.Union([
    t.Literal('write'),
    t.Literal('quick'),
    t.Literal('share'),
    t.Literal('full'),
    t.Literal('test-restore'),
  ]),
  /** ISO 8601, UTC. */
  startedAt: t.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }),
  tookMs: t.Number({ minimum: 0 }),
  ok: t.Boolean(),
  findings: t.Array(findingSchema),
  /** Objects of the findings that are not told one by one. */
  otherKeys: t.Optional(t.Array(t.String({ maxLength: 400 }))),
  /** Files that a test restore gave back and compared. */
  restoredFiles: t.Optional(t.Integer({ minimum: 0 })),
  /** What the restored server said of its health. */
  health: t.Optional(t.String({ maxLength: HEALTH_LENGTH })),
});

export const CHECKS = 'checks/';

export function toCheckKey({ startedAt, id }: Check): string {
  return `${CHECKS}${toStamp(Date.parse(startedAt))}-${id}.json`;
}

/** As much of a check as is kept, however much was found. */
export function bounded(check: Check): Check {
  const cut = check.findings.length > MOST_FINDINGS ? check.findings.slice(MOST_FINDINGS - 1) : [];
  const told = check.findings.slice(0, check.findings.length - cut.length);
  const findings = told.map((finding) => ({ ...finding, message: finding.message.slice(0, MESSAGE_LENGTH) }));
  const { health } = check;
  return {
    ...check,
    ...(health === undefined ? {} : { health: health.slice(0, HEALTH_LENGTH) }),
    ...(cut.length === 0
      ? { findings }
      : {
          findings: [...findings, { code: 'more', message: `There are ${cut.length} more findings like these.` }],
          otherKeys: cut.flatMap(({ key }) => key ?? []).slice(0, MOST_KEYS),
        }),
  };
}

/** What {@link readCheckText} reads again. */
export function toCheckText(check: Check): string {
  const kept = bounded(check);
  Value.Assert(checkSchema, kept);
  return `${JSON.stringify(kept, null, 2)}\n`;
}

/** Keys of all objects in which something was found. */
export function keysOfCheck({ findings, otherKeys = [] }: Check): readonly string[] {
  return [...findings.flatMap(({ key }) => key ?? []), ...otherKeys];
}

/** `null` for what is no check: checks are records, nothing is restored from them. */
export function readCheckText(text: string): Check | null {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(checkSchema, value) ? value : null;
  } catch {
    return null;
  }
}
