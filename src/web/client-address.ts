import ipaddr from 'ipaddr.js';
import type { AddressRange } from '../kernel/address-range.ts';
import type { Connection } from './context.ts';

/** `none`, `fly`, or the ranges whose forwarding headers are believed. */
export type TrustedProxies = readonly ('none' | 'fly' | AddressRange)[];

export interface ClientEnd {
  readonly address: string;
  readonly isSecure: boolean;
}

/**
 * Finds the client's end of a request. `X-Forwarded-For` is walked from right to left and the first hop that is not trusted
 * is the client; `Fly-Client-IP` is believed only where Fly is configured as the proxy. Without trust the headers are inert.
 */
export function createClientEnd(trusted: TrustedProxies): (headers: Headers, connection: Connection) => ClientEnd {
  const ranges = trusted.filter((entry): entry is AddressRange => typeof entry !== 'string');
  if (trusted.includes('fly')) {
    return (headers, connection) => ({
      address: normalize(headers.get('fly-client-ip') ?? '') ?? connection.peerAddress,
      isSecure: connection.isSecure || headers.get('x-forwarded-proto') === 'https',
    });
  }
  if (ranges.length === 0) {
    return (_headers, connection) => ({ address: connection.peerAddress, isSecure: connection.isSecure });
  }

  const isTrusted = (address: string) => {
    const parsed = ipaddr.process(address);
    return ranges.some(([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits));
  };
  return (headers, connection) => {
    if (!isTrusted(connection.peerAddress)) {
      return { address: connection.peerAddress, isSecure: connection.isSecure };
    }
    let address = connection.peerAddress;
    for (const hop of (headers.get('x-forwarded-for') ?? '').split(',').reverse()) {
      const next = normalize(hop.trim());
      if (!next) break;
      address = next;
      if (!isTrusted(next)) break;
    }
    const isSecure = connection.isSecure || lastItem(headers.get('x-forwarded-proto')) === 'https';
    return { address, isSecure };
  };
}

/** What the rate limiter counts by: an IPv4 address, or the /64 that one subscriber has of IPv6. */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4'
    ? parsed.toString()
    : `${(parsed as ipaddr.IPv6).parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`;
}

function normalize(text: string): string | null {
  return ipaddr.isValid(text) ? ipaddr.process(text).toString() : null;
}

function lastItem(list: string | null): string | undefined {
  return list?.split(',').at(-1)?.trim().toLowerCase();
}
