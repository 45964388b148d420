import type { Caller } from '../../kernel/caller.ts';
import { createHook, type Hook } from '../../kernel/hooks.ts';
import { covers, type RuleTable, type TopicAction } from './rules.ts';

/** What is asked of the permission hook. */
export interface TopicQuestion {
  /** Null for an anonymous connection. */
  readonly caller: Caller | null;
  readonly topic: string;
  readonly action: TopicAction;
}

export interface TopicAccess {
  /** Plugins decide here: answer true or false, or pass on with `next()`; the settings' rules are the last to be asked. */
  readonly hook: Hook<TopicQuestion, boolean>;
  /** Whether the caller may do it. A handler that throws counts as no. */
  allows(caller: Caller | null, action: TopicAction, topic: string): Promise<boolean>;
  /** Whether somebody may see who is on the topic; else it is not kept. */
  hasPresence(topic: string): boolean;
}

/** @param onFault hears what a handler threw. */
export function createTopicAccess(rules: RuleTable, onFault: (error: unknown) => void): TopicAccess {
  const hook = createHook<TopicQuestion, boolean>();
  return {
    hook,
    async allows(caller, action, topic) {
      try {
        return await hook.run({ caller, topic, action }, async () => {
          // Admins and servers publish anywhere.
          if (action === 'publish' && caller?.role === 'admin') return true;
          return covers(rules.rightOf(topic, action), caller, topic);
        });
      } catch (error) {
        onFault(error);
        return false;
      }
    },
    hasPresence: (topic) => rules.rightOf(topic, 'presence') !== 'none',
  };
}
