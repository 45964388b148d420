import { hkdfSync } from 'node:crypto';

/** Keys of 32 bytes, one for each purpose, all made from the one secret (HKDF-SHA256, RFC 5869). */
export type Keyring = (purpose: string) => Uint8Array;

export function createKeyring(secret: string): Keyring {
  return (purpose) => new Uint8Array(hkdfSync('sha256', secret, '', `bunkhouse/${purpose}`, 32));
}
