import type { Clock } from '../ports/clock.ts';

/** How long an answer of the resolver is believed; whoever asks must not be able to make us ask it more often. */
const BELIEVED_MS = 10_000;

/** Tells whether an address is one of a host's, as its name resolves now. Never rejects: a name that does not resolve has none. */
export function hostAddresses(hostname: string, clock: Clock): (address: string) => Promise<boolean> {
  let believed: { readonly until: number; readonly addresses: Promise<readonly string[]> } | null = null;
  return async (address) => {
    if (!believed || believed.until <= clock.now()) {
      const addresses = addressesOf(hostname).catch(() => []);
      believed = { until: clock.now() + BELIEVED_MS, addresses };
    }
    return (await believed.addresses).includes(address);
  };
}

async function addressesOf(hostname: string): Promise<string[]> {
  // Loaded where a host has to be asked for: it takes a share of every start.
  const { lookup } = await import('node:dns/promises');
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}
