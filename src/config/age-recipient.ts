import { text, ValueFault } from './values.ts';

/** The alphabet of Bech32 (BIP 173). */
const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** A setting that holds a native recipient of age (`age1…`, X25519), whose checksum must be right. */
export function ageRecipient(options: { readonly env: string; readonly description: string }) {
  const read = (value: string): string | undefined => {
    if (/^AGE-SECRET-KEY-/i.test(value)) throw new ValueFault('holds a secret key; it takes the public one (age1…)');
    if (!/^age1[a-z0-9]{58}$/.test(value) || !isBech32(value)) {
      throw new ValueFault('must be a recipient that age-keygen made (age1 and 58 more characters)');
    }
    return value;
  };
  return { ...text(options), read };
}

/** Whether the checksum is right (BIP 173, "Checksum"). */
function isBech32(value: string): boolean {
  const at = value.lastIndexOf('1');
  const prefix = [...value.slice(0, at)].map((sign) => sign.charCodeAt(0));
  const data = [...value.slice(at + 1)].map((sign) => ALPHABET.indexOf(sign));
  let sum = 1;
  for (const each of [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...data]) {
    if (each < 0) return false;
    const top = sum >> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ each;
    for (const [bit, value] of GENERATOR.entries()) if ((top >> bit) & 1) sum ^= value;
  }
  return sum === 1;
}
