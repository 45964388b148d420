import { describe, expect, test } from 'bun:test';
import { createEvents, type EventName } from '../../src/kernel/events.ts';
import { createHook } from '../../src/kernel/hooks.ts';
import { eventually } from '../support/eventually.ts';

function openEvents() {
  const faults: [unknown, EventName][] = [];
  return { faults, events: createEvents((error, name) => void faults.push([error, name])) };
}

describe('events', () => {
  test('reach every listener of their name, in order, and nobody else', () => {
    const { events } = openEvents();
    const heard: string[] = [];
    events.on('users/created', ({ userId }) => void heard.push(`first ${userId}`));
    events.on('users/created', ({ userId }) => void heard.push(`second ${userId}`));
    events.on('users/deleted', () => void heard.push('wrong'));
    events.emit('users/created', { userId: 'u1' });
    expect(heard).toEqual(['first u1', 'second u1']);
  });

  test('a listener that throws is reported and the others still hear', () => {
    const { events, faults } = openEvents();
    const fault = new Error('broken listener');
    let heard = 0;
    events.on('users/created', () => {
      throw fault;
    });
    events.on('users/created', () => void heard++);
    expect(() => events.emit('users/created', { userId: 'u1' })).not.toThrow();
    expect([heard, faults]).toEqual([1, [[fault, 'users/created']]]);
  });

  test('PocketBase #7762: a listener that rejects is reported, and nobody waits for it', async () => {
    const { events, faults } = openEvents();
    const fault = new Error('broken later');
    let heard = 0;
    events.on('users/created', async () => {
      await Promise.resolve();
      throw fault;
    });
    events.on('users/created', () => void heard++);
    events.emit('users/created', { userId: 'u1' });
    expect([heard, faults]).toEqual([1, []]);
    await eventually(() => faults.length === 1);
    expect(faults).toEqual([[fault, 'users/created']]);
  });

  test('throwing null is a fault like any other', () => {
    const { events, faults } = openEvents();
    events.on('users/created', () => {
      throw null;
    });
    events.emit('users/created', { userId: 'u1' });
    expect(faults).toEqual([[null, 'users/created']]);
  });

  test('end with their subscription, once or twice ended, also while they are told', () => {
    const { events } = openEvents();
    const heard: string[] = [];
    const endFirst = events.on('users/created', () => {
      heard.push('first');
      endFirst();
      endSecond();
    });
    const endSecond = events.on('users/created', () => void heard.push('second'));
    events.emit('users/created', { userId: 'u1' });
    events.emit('users/created', { userId: 'u2' });
    endFirst();
    expect(heard).toEqual(['first', 'second']);
  });

  test('without a listener go nowhere', () => {
    expect(() => openEvents().events.emit('users/created', { userId: 'u1' })).not.toThrow();
  });
});

describe('hooks', () => {
  test('run by order, then as they were added, around the action', async () => {
    const hook = createHook<string[], string>();
    const around = (name: string) => async (seen: string[], next: () => Promise<string>) => {
      seen.push(`${name} before`);
      const result = await next();
      seen.push(`${name} after`);
      return `${name}(${result})`;
    };
    hook.add(around('late'), 5);
    hook.add(around('a'));
    hook.add(around('b'));
    hook.add(around('early'), -5);
    const seen: string[] = [];
    const result = await hook.run(seen, async () => {
      seen.push('action');
      return 'done';
    });
    expect(result).toBe('early(a(b(late(done))))');
    expect(seen).toEqual([
      'early before',
      'a before',
      'b before',
      'late before',
      'action',
      'late after',
      'b after',
      'a after',
      'early after',
    ]);
  });

  test('a throw vetoes: the action does not run, and those outside hear of it', async () => {
    const hook = createHook<object>();
    const seen: string[] = [];
    hook.add(async (_event, next) => {
      await next().catch((error: Error) => {
        seen.push(`outer heard ${error.message}`);
        throw error;
      });
    });
    hook.add(async () => {
      throw new Error('veto');
    });
    await expect(hook.run({}, async () => void seen.push('action'))).rejects.toThrow('veto');
    expect(seen).toEqual(['outer heard veto']);
  });

  test('a result without next() replaces the action', async () => {
    const hook = createHook<object, string>();
    hook.add(async () => 'instead');
    expect(await hook.run({}, async () => 'action')).toBe('instead');
  });

  test('calling next() twice is a fault and runs the action once', async () => {
    const hook = createHook<object, number>();
    let runs = 0;
    hook.add(async (_event, next) => {
      await next();
      return next();
    });
    await expect(hook.run({}, async () => ++runs)).rejects.toThrow('next() twice');
    expect(runs).toBe(1);
  });

  test('handlers change the event for those after them', async () => {
    const hook = createHook<{ value: number }, number>();
    hook.add((event, next) => {
      event.value += 1;
      return next();
    });
    const event = { value: 1 };
    expect(await hook.run(event, async () => event.value)).toBe(2);
  });

  test('a removed handler runs no more, and one that is added meanwhile does not join', async () => {
    const hook = createHook<string[]>();
    const remove = hook.add((seen, next) => {
      seen.push('first');
      hook.add((later, go) => {
        later.push('added');
        return go();
      });
      return next();
    });
    const seen: string[] = [];
    await hook.run(seen, async () => void seen.push('action'));
    remove();
    await hook.run(seen, async () => void seen.push('action'));
    expect(seen).toEqual(['first', 'action', 'added', 'action']);
  });

  test('without handlers the action alone runs', async () => {
    expect(await createHook<object, string>().run({}, async () => 'action')).toBe('action');
  });
});
