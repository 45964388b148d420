import { describe, expect, test } from 'bun:test';
import { createLedger } from '../../soak/sockets/ledger.ts';

function openLedger() {
  const broken: string[] = [];
  return { broken, ledger: createLedger((promise) => broken.push(promise)) };
}

const start = { epoch: 'e', offset: 0 };

describe('the checker of the soak', () => {
  test('is content with messages once and in order, over reconnects', () => {
    const { broken, ledger } = openLedger();
    const chain = ledger.begin('t', start, null);
    for (const offset of [1, 2]) {
      ledger.acknowledge('t', `m${offset}`, { epoch: 'e', offset }, performance.now());
      ledger.give(chain, offset, `m${offset}`);
    }
    ledger.confirm(chain, { epoch: 'e', offset: 2 });
    ledger.settle([chain]);
    expect(broken).toEqual([]);
    expect(ledger.isComplete(chain)).toBe(true);
  });

  test.each<[string, (of: ReturnType<typeof openLedger>['ledger']) => void]>([
    [
      'every message once and in order',
      (ledger) => {
        const chain = ledger.begin('t', start, null);
        ledger.give(chain, 1, 'a');
        ledger.give(chain, 1, 'a');
      },
    ],
    ['every message once and in order', (ledger) => ledger.give(ledger.begin('t', start, null), 2, 'b')],
    [
      'a place holds one message',
      (ledger) => {
        ledger.give(ledger.begin('t', start, null), 1, 'a');
        ledger.give(ledger.begin('t', start, null), 1, 'b');
      },
    ],
    [
      'a place holds one message',
      (ledger) => {
        ledger.acknowledge('t', 'a', { epoch: 'e', offset: 1 }, performance.now());
        ledger.give(ledger.begin('t', start, null), 1, 'b');
      },
    ],
    [
      'what is recovered is whole',
      (ledger) => ledger.confirm(ledger.begin('t', start, null), { epoch: 'e', offset: 3 }),
    ],
    [
      'the past is lost only when the bus was disturbed',
      (ledger) => ledger.begin('t', start, ledger.begin('t', start, null)),
    ],
    [
      'what was acknowledged arrives, or its loss is told',
      (ledger) => {
        const chain = ledger.begin('t', start, null);
        ledger.acknowledge('t', 'a', { epoch: 'e', offset: 1 }, performance.now() + 1);
        ledger.settle([chain]);
      },
    ],
    [
      'what was acknowledged arrives, or its loss is told',
      (ledger) => {
        const chain = ledger.begin('t', start, null);
        ledger.give(chain, 1, 'a');
        ledger.acknowledge('t', 'b', { epoch: 'another', offset: 1 }, performance.now() + 1);
        ledger.settle([chain]);
      },
    ],
  ])('finds a broken promise: %s', (promise, act) => {
    const { broken, ledger } = openLedger();
    act(ledger);
    expect(broken).toEqual([promise]);
  });

  test('takes a lost past for what it is while the bus is disturbed', () => {
    const { broken, ledger } = openLedger();
    const chain = ledger.begin('t', start, null);
    ledger.disturb();
    const next = ledger.begin('t', { epoch: 'next', offset: 4 }, chain);
    ledger.calm();
    ledger.begin('t', { epoch: 'last', offset: 0 }, next);
    expect(broken).toEqual([]);
    expect(ledger.figures['toldLost']).toBe(2);
  });
});
