import type { Caller } from '../../kernel/caller.ts';
import { ownerOf } from './topics.ts';

export const TOPIC_ACTIONS = ['subscribe', 'publish', 'presence', 'history'] as const;
export type TopicAction = (typeof TOPIC_ACTIONS)[number];

/** `owner` is the user a `user.<id>` topic belongs to; it is for the built-in rules. Admins count as users. */
export type TopicRight = 'anyone' | 'user' | 'owner' | 'admin' | 'none';

/** Rights by topic pattern: a name, or a prefix with `*` at its end. */
export type TopicRules = Readonly<Record<string, Readonly<Partial<Record<TopicAction, TopicRight>>>>>;

const BUILT_IN: TopicRules = {
  '*': { subscribe: 'none', publish: 'none', presence: 'none', history: 'none' },
  'public.*': { subscribe: 'anyone', publish: 'none', presence: 'none', history: 'anyone' },
  'user.*': { subscribe: 'owner', publish: 'none', presence: 'none', history: 'owner' },
  'presence.*': { subscribe: 'user', publish: 'none', presence: 'user', history: 'none' },
  'system.*': { subscribe: 'admin', publish: 'none', presence: 'none', history: 'admin' },
};

/** Who may do what where. For each action the longest pattern that says something about it wins. */
export interface RuleTable {
  rightOf(topic: string, action: TopicAction): TopicRight;
}

/** @param settings `TOPIC_RULES`; they stand beside the built-in ones, and before one with the same pattern. */
export function createRuleTable(settings: TopicRules): RuleTable {
  const exact = new Map<string, TopicRules[string]>();
  const prefixes: { readonly prefix: string; readonly rights: TopicRules[string] }[] = [];
  const patterns = new Set([...Object.keys(BUILT_IN), ...Object.keys(settings)]);
  for (const pattern of patterns) {
    const rights = { ...BUILT_IN[pattern], ...settings[pattern] };
    if (pattern.endsWith('*')) prefixes.push({ prefix: pattern.slice(0, -1), rights });
    else exact.set(pattern, rights);
  }
  prefixes.sort((a, b) => b.prefix.length - a.prefix.length);

  return {
    rightOf(topic, action) {
      const right = exact.get(topic)?.[action];
      if (right) return right;
      for (const { prefix, rights } of prefixes) {
        if (rights[action] && topic.startsWith(prefix)) return rights[action];
      }
      return 'none';
    },
  };
}

/** Whether a right covers a caller; null is an anonymous one. */
export function covers(right: TopicRight, caller: Caller | null, topic: string): boolean {
  switch (right) {
    case 'anyone':
      return true;
    case 'user':
      return caller !== null;
    case 'owner':
      return caller !== null && (caller.role === 'admin' || ownerOf(topic) === caller.id);
    case 'admin':
      return caller?.role === 'admin';
    case 'none':
      return false;
  }
}
