import { describe, expect, test } from 'bun:test';
import { hostAddresses } from '../../../src/drivers/host-addresses.ts';
import type { Caller } from '../../../src/kernel/caller.ts';
import { answerPurge } from '../../../src/modules/cache/purge-method.ts';
import type { PurgeOrder } from '../../../src/ports/cache.ts';
import { fakeClock } from '../../support/fakes.ts';

const server: Caller = { kind: 'server', id: 'server', role: 'admin' };
const stranger = { caller: null, address: '203.0.113.9' };

async function purge(headers: Record<string, string>, from: { caller: Caller | null; address: string }) {
  const orders: PurgeOrder[] = [];
  const request = new Request('http://example.org/page?x=1', { method: 'PURGE', headers });
  const answer = await answerPurge(request, from, {
    purge: async (order) => {
      orders.push(order);
      return 1;
    },
    isSidecar: hostAddresses('192.0.2.7', fakeClock()),
  }).catch((error: unknown) => error);
  return { orders, answer };
}

describe('PURGE', () => {
  test.each([
    ['loopback', '127.0.0.1', null, true],
    ['loopback of IPv6', '::1', null, true],
    ['the address of PHP', '192.0.2.7', null, true],
    ['an admin from anywhere', '203.0.113.9', server, true],
    ['a stranger', '203.0.113.9', null, false],
    ['a neighbour of PHP', '192.0.2.70', null, false],
  ] as const)('from %s', async (_who, address, caller, isAllowed) => {
    const { orders, answer } = await purge({}, { caller, address });
    expect(orders).toEqual(isAllowed ? [{ keys: ['http://example.org/page?x=1'], soft: false }] : []);
    if (!isAllowed) expect(answer).toMatchObject({ code: 'auth/required' });
  });

  test.each(['x-forwarded-for', 'x-real-ip', 'forwarded', 'via', 'fly-client-ip'])(
    'what came with %s came from further away',
    async (header) => {
      for (const address of ['127.0.0.1', '::1', '192.0.2.7']) {
        expect((await purge({ [header]: '127.0.0.1' }, { caller: null, address })).orders).toEqual([]);
      }
      expect((await purge({ [header]: '127.0.0.1' }, { ...stranger, caller: server })).orders).toHaveLength(1);
    },
  );

  test('by tags in any of the usual headers, and softly', async () => {
    const from = { caller: server, address: '203.0.113.9' };
    const headers = { 'surrogate-key': 'a b', xkey: 'c', 'cache-tags': 'd, e', 'purge-mode': 'Soft' };
    expect((await purge(headers, from)).orders).toEqual([{ tags: ['a', 'b', 'c', 'd', 'e'], soft: true }]);
    expect((await purge({ 'surrogate-key': '  ' }, from)).orders[0]).toHaveProperty('keys');
  });

  test('a host whose name does not resolve has no address', async () => {
    expect(await hostAddresses('no-such-host.invalid', fakeClock())('127.0.0.1')).toBe(false);
  });
});
