import { type Static, Type as t } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { toStamp } from './manifest.ts';

/** The result of a verification or a test restore, kept in the repository. */
export type Check = Static<typeof checkSchema>;

const findingSchema = t.Object({
  /** What kind of damage: `missing`, `damaged`, `database`, … */
  code: t.String({ maxLength: 100 }),
  /** The object it was found in. */
  key: t.Optional(t.String({ maxLength: 400 })),
  /** What is wrong, whom it hurts and what to do. */
  message: t.String({ maxLength: 10_000 }),
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
  /** Files that a test restore gave back and compared. */
  restoredFiles: t.Optional(t.Integer({ minimum: 0 })),
  /** What the restored server said of its health. */
  health: t.Optional(t.String({ maxLength: 1_000 })),
});

export const CHECKS = 'checks/';

export function toCheckKey({ startedAt, id }: Check): string {
  return `${CHECKS}${toStamp(Date.parse(startedAt))}-${id}.json`;
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
