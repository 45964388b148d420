import { describe, expect, test } from 'bun:test';
import { loadConfig } from '../../../src/config/load.ts';
import type { Caller } from '../../../src/kernel/caller.ts';
import { createTopicAccess } from '../../../src/modules/sockets/access.ts';
import { createRuleTable, type TopicAction, type TopicRules } from '../../../src/modules/sockets/rules.ts';
import { isTopic } from '../../../src/modules/sockets/topics.ts';

const user = (id: string, role: 'user' | 'admin' = 'user') => ({ kind: 'user', id, role }) as Caller;
const CALLERS: Record<string, Caller | null> = {
  anonymous: null,
  ada: user('ada'),
  eve: user('eve'),
  admin: user('root', 'admin'),
};
const accessOf = (rules: TopicRules = {}) => createTopicAccess(createRuleTable(rules), () => undefined);

describe('without settings', () => {
  test.each<[string, TopicAction, string]>([
    ['public.news', 'subscribe', 'anonymous ada eve admin'],
    ['public.news', 'history', 'anonymous ada eve admin'],
    ['public.news', 'presence', ''],
    ['public.news', 'publish', 'admin'],
    ['user.ada', 'subscribe', 'ada admin'],
    ['user.ada', 'history', 'ada admin'],
    ['user.ada', 'publish', 'admin'],
    ['user.', 'subscribe', 'admin'],
    ['presence.room', 'subscribe', 'ada eve admin'],
    ['presence.room', 'presence', 'ada eve admin'],
    ['presence.room', 'publish', 'admin'],
    ['system.logs', 'subscribe', 'admin'],
    ['anything', 'subscribe', ''],
    ['anything', 'publish', 'admin'],
    ['public', 'subscribe', ''],
    ['__proto__', 'subscribe', ''],
    ['constructor', 'history', ''],
  ])('%s: %s is for %s', async (topic, action, allowed) => {
    const access = accessOf();
    const names: string[] = [];
    for (const [name, caller] of Object.entries(CALLERS))
      if (await access.allows(caller, action, topic)) names.push(name);
    expect(names.join(' ')).toBe(allowed);
  });
});

describe('TOPIC_RULES', () => {
  test('the longest pattern wins, for each action by itself', async () => {
    const access = accessOf({
      '*': { subscribe: 'user' },
      'team.*': { subscribe: 'anyone', publish: 'user' },
      'team.secret.*': { subscribe: 'admin' },
      'team.secret.door': { subscribe: 'anyone' },
      'public.*': { publish: 'user' },
    });
    expect(await access.allows(null, 'subscribe', 'other')).toBe(false);
    expect(await access.allows(user('ada'), 'subscribe', 'other')).toBe(true);
    expect(await access.allows(null, 'subscribe', 'team.one')).toBe(true);
    expect(await access.allows(user('ada'), 'subscribe', 'team.secret.one')).toBe(false);
    expect(await access.allows(user('ada'), 'publish', 'team.secret.one')).toBe(true);
    expect(await access.allows(null, 'subscribe', 'team.secret.door')).toBe(true);
    expect(await access.allows(null, 'subscribe', 'public.x')).toBe(true);
    expect(await access.allows(user('ada'), 'publish', 'public.x')).toBe(true);
    expect(await access.allows(user('eve'), 'subscribe', 'user.ada')).toBe(false);
  });

  test.each([
    ['{', 'must be JSON'],
    ['[]', 'must be an object of objects'],
    ['{"a":1}', 'must be an object of objects'],
    ['{"a*b":{}}', 'may have * at the end'],
    ['{"a":{"dance":"user"}}', 'gives rights to'],
    ['{"a":{"subscribe":"owner"}}', 'gives rights to'],
  ])('%s is a fault', (value, fault) => {
    expect(() => loadConfig({ TOPIC_RULES: value })).toThrow(fault);
  });

  test('is read as it is written', () => {
    expect(loadConfig({ TOPIC_RULES: '{"a.*":{"subscribe":"user"}}' }).topicRules).toEqual({
      'a.*': { subscribe: 'user' },
    });
  });
});

describe('plugins', () => {
  test('decide before the rules, and a plugin that throws allows nothing', async () => {
    const access = accessOf();
    access.hook.add(async ({ topic }, next) => (topic === 'opened' ? true : topic === 'public.shut' ? false : next()));
    expect(await access.allows(null, 'subscribe', 'opened')).toBe(true);
    expect(await access.allows(null, 'subscribe', 'public.shut')).toBe(false);
    expect(await access.allows(null, 'subscribe', 'public.x')).toBe(true);
    access.hook.add(async () => {
      throw new Error('broken');
    });
    expect(await access.allows(null, 'subscribe', 'public.x')).toBe(false);
  });
});

test.each([
  ['a', true],
  ['public.ünïcode 😀', true],
  ['x'.repeat(255), true],
  ['ü'.repeat(128), false],
  ['x'.repeat(256), false],
  ['', false],
  ['a\u0000b', false],
  ['a\nb', false],
  ['a\u007f', false],
  ['\ud800', false],
])('%j as a topic: %p', (text, isOne) => {
  expect(isTopic(text)).toBe(isOne);
});
