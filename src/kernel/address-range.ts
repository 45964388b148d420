import ipaddr from 'ipaddr.js';

/** A CIDR range of IPv4 or IPv6 addresses. */
export type AddressRange = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Reads `10.0.0.0/8`, `fd00::/8` or a single address; `null` when it is neither. */
export function parseAddressRange(text: string): AddressRange | null {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text);
    const address = ipaddr.parse(text);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch {
    return null;
  }
}

/** What IANA has given out to the public so far (IPv6 Global Unicast Address Assignments). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address belongs to the public internet: not to this machine, its networks, its cloud's metadata, nor to a range that
 * leads back to those (RFC 6890; mapped and translated IPv4 inside IPv6 are judged as what they stand for, or not at all).
 */
export function isPublicAddress(text: string): boolean {
  try {
    const address = ipaddr.process(text);
    if (address.range() !== 'unicast') return false;
    return address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST);
  } catch {
    return false;
  }
}
