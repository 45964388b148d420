import { describe, expect, test } from 'bun:test';
import { parseAddressRange } from '../../src/kernel/address-range.ts';
import { addressKey, createClientEnd, type TrustedProxies } from '../../src/web/client-address.ts';

interface Case {
  readonly what: string;
  readonly peer: string;
  readonly headers?: Record<string, string>;
  readonly address: string;
  readonly isSecure?: boolean;
}

const judge = (trusted: TrustedProxies, { peer, headers = {} }: Case) =>
  createClientEnd(trusted)(new Headers(headers), {
    peerAddress: peer,
    isSecure: false,
    keepOpen: () => undefined,
    cutWhenIdle: () => undefined,
  });

const ranges = (...texts: string[]): TrustedProxies =>
  texts.map((text) => parseAddressRange(text)).filter((range) => range !== null);

const everything = {
  'x-forwarded-for': '198.51.100.9',
  'x-forwarded-proto': 'https',
  'fly-client-ip': '198.51.100.8',
  forwarded: 'for=198.51.100.7;proto=https',
  'x-real-ip': '198.51.100.6',
  'true-client-ip': '198.51.100.5',
};

describe('with TRUST_PROXY=none', () => {
  test.each([['none' as const], []])('the peer is the client, whatever headers say', (...trusted) => {
    const end = judge(trusted, { what: '', peer: '203.0.113.1', headers: everything, address: '' });
    expect(end).toEqual({ address: '203.0.113.1', isSecure: false });
  });
});

describe('with TRUST_PROXY=fly', () => {
  test.each<Case>([
    {
      what: 'Fly-Client-IP is the client',
      peer: '172.16.0.1',
      headers: everything,
      address: '198.51.100.8',
      isSecure: true,
    },
    {
      what: 'without it the peer is',
      peer: '172.16.0.1',
      headers: { 'x-forwarded-for': '1.2.3.4' },
      address: '172.16.0.1',
    },
    {
      what: 'nonsense in it is not believed',
      peer: '172.16.0.1',
      headers: { 'fly-client-ip': 'x' },
      address: '172.16.0.1',
    },
    {
      what: 'IPv6 has one spelling',
      peer: '::1',
      headers: { 'fly-client-ip': '2001:DB8:0::1' },
      address: '2001:db8::1',
    },
    {
      what: 'mapped IPv4 is IPv4',
      peer: '::1',
      headers: { 'fly-client-ip': '::ffff:192.0.2.1' },
      address: '192.0.2.1',
    },
  ])('$what', (each) => {
    expect(judge(['fly'], each)).toEqual({ address: each.address, isSecure: each.isSecure ?? false });
  });
});

describe('with TRUST_PROXY=10.0.0.0/8,fd00::/8', () => {
  const via = (list: string) => ({ 'x-forwarded-for': list });
  test.each<Case>([
    { what: 'a peer that is no proxy is the client', peer: '203.0.113.1', headers: everything, address: '203.0.113.1' },
    { what: 'a proxy names the client', peer: '10.0.0.1', headers: via('198.51.100.9'), address: '198.51.100.9' },
    {
      what: 'a spoofed head of the list is passed over',
      peer: '10.0.0.1',
      headers: via('1.1.1.1, 198.51.100.9'),
      address: '198.51.100.9',
    },
    {
      what: 'trusted hops are walked through',
      peer: '10.0.0.1',
      headers: via('1.1.1.1, 198.51.100.9, 10.2.2.2, 10.1.1.1'),
      address: '198.51.100.9',
    },
    {
      what: 'a spoofed trusted address does not hide the client',
      peer: '10.0.0.1',
      headers: via('10.9.9.9, 198.51.100.9'),
      address: '198.51.100.9',
    },
    {
      what: 'a list of proxies only ends at the first',
      peer: '10.0.0.1',
      headers: via('10.3.3.3, 10.2.2.2'),
      address: '10.3.3.3',
    },
    {
      what: 'nonsense ends the walk',
      peer: '10.0.0.1',
      headers: via('198.51.100.9, nonsense, 10.2.2.2'),
      address: '10.2.2.2',
    },
    { what: 'an empty list leaves the proxy', peer: '10.0.0.1', headers: via(''), address: '10.0.0.1' },
    { what: 'no list leaves the proxy', peer: '10.0.0.1', address: '10.0.0.1' },
    {
      what: 'an address with a port is none',
      peer: '10.0.0.1',
      headers: via('198.51.100.9:1234'),
      address: '10.0.0.1',
    },
    { what: 'IPv6 proxies count', peer: 'fd00::1', headers: via('2001:db8::9'), address: '2001:db8::9' },
    {
      what: 'a mapped proxy counts',
      peer: '10.0.0.1',
      headers: via('198.51.100.9, ::ffff:10.2.2.2'),
      address: '198.51.100.9',
    },
    {
      what: 'Fly and Forwarded are not believed',
      peer: '10.0.0.1',
      headers: { 'fly-client-ip': '1.1.1.1', forwarded: 'for=1.1.1.1' },
      address: '10.0.0.1',
    },
    {
      what: 'a proxy says https',
      peer: '10.0.0.1',
      headers: { 'x-forwarded-proto': 'HTTPS' },
      address: '10.0.0.1',
      isSecure: true,
    },
    {
      what: 'the nearest proxy says it',
      peer: '10.0.0.1',
      headers: { 'x-forwarded-proto': 'https, http' },
      address: '10.0.0.1',
    },
    {
      what: 'a client cannot say https',
      peer: '203.0.113.1',
      headers: { 'x-forwarded-proto': 'https' },
      address: '203.0.113.1',
    },
  ])('$what', (each) => {
    const end = judge(ranges('10.0.0.0/8', 'fd00::/8'), each);
    expect(end).toEqual({ address: each.address, isSecure: each.isSecure ?? false });
  });

  test('an endless list is walked in little time', () => {
    const headers = via(Array.from({ length: 20_000 }, () => '10.0.0.1').join(','));
    expect(judge(ranges('10.0.0.0/8'), { what: '', peer: '10.0.0.1', headers, address: '' }).address).toBe('10.0.0.1');
  });
});

describe('what the limiter counts by', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::', '2001:db8:1:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['not:an:address', 'not:an:address'],
    ['', ''],
  ])('of %p is %p', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

describe('an address range', () => {
  test.each(['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1', '0.0.0.0/0'])('%s is read', (text) => {
    expect(parseAddressRange(text)).not.toBeNull();
  });
  test.each(['', 'x', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/-1', 'example.org', '10.0.0.0/8/8'])(
    '%p is none',
    (text) => {
      expect(parseAddressRange(text)).toBeNull();
    },
  );
});
