import { describe, expect, test } from 'bun:test';
import { createLifecycle, type Phase } from '../../src/kernel/lifecycle.ts';

function build(phases: readonly Phase[]) {
  const faults: string[] = [];
  const lifecycle = createLifecycle((error, phase) => void faults.push(`${phase}: ${(error as Error).message}`));
  for (const phase of phases) lifecycle.add(phase);
  return { lifecycle, faults };
}

function noted(seen: string[], name: string, changes: Partial<Phase> = {}): Phase {
  return { name, start: () => void seen.push(`start ${name}`), stop: () => void seen.push(`stop ${name}`), ...changes };
}

describe('the life cycle', () => {
  test('starts in order, each after the one before, and stops in reverse', async () => {
    const seen: string[] = [];
    const slow = noted(seen, 'slow', {
      start: async () => {
        await Promise.resolve();
        await Promise.resolve();
        seen.push('start slow');
      },
    });
    const { lifecycle, faults } = build([noted(seen, 'log'), slow, noted(seen, 'listener')]);
    await lifecycle.start();
    await lifecycle.stop();
    expect(seen).toEqual(['start log', 'start slow', 'start listener', 'stop listener', 'stop slow', 'stop log']);
    expect(faults).toEqual([]);
  });

  test('a failing start stops what was started, tells the failure and starts nothing more', async () => {
    const seen: string[] = [];
    const failing = noted(seen, 'database', {
      start: async () => {
        throw new Error('no disk');
      },
    });
    const { lifecycle } = build([noted(seen, 'log'), noted(seen, 'cache'), failing, noted(seen, 'listener')]);
    await expect(lifecycle.start()).rejects.toThrow('no disk');
    expect(seen.filter((entry) => entry !== 'stop database')).toEqual([
      'start log',
      'start cache',
      'stop cache',
      'stop log',
    ]);
    await lifecycle.stop();
    expect(seen.filter((entry) => entry === 'stop log')).toHaveLength(1);
  });

  test('every phase is stopped whatever the others do, and each failure is told by name', async () => {
    const seen: string[] = [];
    const { lifecycle, faults } = build([
      noted(seen, 'log'),
      noted(seen, 'throws', {
        stop: () => {
          throw new Error('thrown');
        },
      }),
      noted(seen, 'rejects', { stop: async () => Promise.reject(new Error('rejected')) }),
      noted(seen, 'last'),
    ]);
    await lifecycle.start();
    await lifecycle.stop();
    expect(seen.slice(4)).toEqual(['stop last', 'stop log']);
    expect(faults).toEqual(['rejects: rejected', 'throws: thrown']);
  });

  test('a phase that does not end is given up after its time, and the others follow', async () => {
    const seen: string[] = [];
    const hanging = noted(seen, 'hanging', { stop: () => new Promise<void>(() => undefined), stopTimeoutMs: 5 });
    const { lifecycle, faults } = build([noted(seen, 'log'), hanging]);
    await lifecycle.start();
    await lifecycle.stop();
    expect(faults).toEqual(['hanging: stopping took longer than 5 ms']);
    expect(seen.at(-1)).toBe('stop log');
  });

  test('stopping twice stops once, and both wait for the end', async () => {
    const seen: string[] = [];
    const end = Promise.withResolvers<void>();
    const { lifecycle } = build([
      noted(seen, 'slow', { stop: () => end.promise.then(() => void seen.push('stopped')) }),
    ]);
    await lifecycle.start();
    const [first, second] = [lifecycle.stop(), lifecycle.stop()];
    end.resolve();
    await Promise.all([first, second]);
    expect(seen.filter((entry) => entry === 'stopped')).toHaveLength(1);
  });

  test('stopping before the start does nothing, and phases need neither start nor stop', async () => {
    const { lifecycle, faults } = build([{ name: 'bare' }]);
    await lifecycle.stop();
    await build([{ name: 'bare' }]).lifecycle.start();
    expect(faults).toEqual([]);
  });
});
