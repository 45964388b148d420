import { randomBytes, type ScryptOptions, scrypt } from 'node:crypto';
import type { Identity, Recipient, Stanza } from 'age-encryption';

/**
 * The scrypt stanza of age (https://github.com/C2SP/C2SP/blob/main/age.md#the-scrypt-recipient-type), with the scrypt of the runtime: on a
 * thread of its own and many times as fast as the library's, which is JavaScript.
 */

const LABEL = 'age-encryption.org/v1/scrypt';
/** What OWASP advises at least; it takes 128 MiB for as long as it lasts. */
const WORK_FACTOR = 17;
/** What the `age` command would have written, and more; beyond it a stranger's file would take gigabytes. */
const MAX_WORK_FACTOR = 20;
const NONCE = new Uint8Array(12);

export function passphraseRecipient(passphrase: string, toStanza: typeof Stanza): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const { chacha20poly1305 } = await import('@noble/ciphers/chacha.js');
      const salt = randomBytes(16);
      const key = await deriveKey(passphrase, salt, WORK_FACTOR);
      const args = ['scrypt', salt.toString('base64').replace(/=+$/, ''), String(WORK_FACTOR)];
      return [new toStanza(args, chacha20poly1305(key, NONCE).encrypt(fileKey))];
    },
  };
}

export function passphraseIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const [stanza] = stanzas;
      const [type, salt = '', factor = ''] = stanza?.args ?? [];
      // It must be the only one, so that a file that a passphrase opens was made by somebody who knows it.
      if (!stanza || type !== 'scrypt' || stanzas.length !== 1) return null;
      const workFactor = Number(factor);
      if (!/^[1-9]\d?$/.test(factor) || workFactor > MAX_WORK_FACTOR)
        throw new Error('scrypt work factor out of range');
      const { chacha20poly1305 } = await import('@noble/ciphers/chacha.js');
      const key = await deriveKey(passphrase, Buffer.from(salt, 'base64'), workFactor);
      try {
        return chacha20poly1305(key, NONCE).decrypt(stanza.body);
      } catch {
        return null;
      }
    },
  };
}

function deriveKey(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Uint8Array> {
  const options: ScryptOptions = { N: 2 ** workFactor, r: 8, p: 1, maxmem: 2 ** (workFactor + 11) };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.concat([Buffer.from(LABEL), salt]), 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
