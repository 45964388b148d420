import { text, ValueFault } from './values.ts';

const ACTIONS = ['subscribe', 'publish', 'presence', 'history'] as const;
const RIGHTS = ['anyone', 'user', 'admin', 'none'] as const;

/** Rights by topic pattern, as `TOPIC_RULES` has them. */
export type TopicRulesSetting = Readonly<
  Record<string, Readonly<Partial<Record<(typeof ACTIONS)[number], (typeof RIGHTS)[number]>>>>
>;

/** Who may do what on which topics, as JSON. */
export function topicRules(options: { readonly env: string; readonly description: string }) {
  const setting = text(options);
  return { ...setting, read: readTopicRules };
}

function readTopicRules(value: string): TopicRulesSetting | undefined {
  const rules = parse(value);
  for (const [pattern, rights] of Object.entries(rules)) {
    if (pattern === '' || pattern.slice(0, -1).includes('*'))
      throw new ValueFault('may have * at the end of a pattern only');
    for (const [action, right] of Object.entries(toRecord(rights))) {
      if (!(ACTIONS as readonly string[]).includes(action) || !(RIGHTS as readonly unknown[]).includes(right)) {
        throw new ValueFault(`gives rights to ${ACTIONS.join(', ')}, each one of ${RIGHTS.join(', ')}`);
      }
    }
  }
  return rules as TopicRulesSetting;
}

function parse(value: string): Record<string, unknown> {
  try {
    return toRecord(JSON.parse(value));
  } catch (error) {
    if (error instanceof ValueFault) throw error;
    throw new ValueFault('must be JSON');
  }
}

function toRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ValueFault('must be an object of objects');
  return value as Record<string, unknown>;
}
