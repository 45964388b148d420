import { passphraseIdentity, passphraseRecipient } from './age-passphrase.ts';
import { streamOf } from './streams.ts';

/**
 * Encryption in the format of age (https://age-encryption.org/v1), as the `age` command reads and writes it. The library is loaded by
 * whoever encrypts.
 */

/** None of the identities, or another passphrase. */
export class WrongKey extends Error {}

export async function generateIdentity(): Promise<string> {
  const { generateX25519Identity } = await import('age-encryption');
  return generateX25519Identity();
}

/** The public half of an identity. Throws when it is no identity. */
export async function recipientOf(identity: string): Promise<string> {
  const { identityToRecipient } = await import('age-encryption');
  return identityToRecipient(identity);
}

export async function* encryptTo(recipient: string, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  yield* await encrypter.encrypt(streamOf(plain));
}

/** @throws WrongKey, and whatever else the library throws for bytes that are damaged. */
export async function* decryptWith(
  identities: readonly string[],
  encrypted: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  yield* await decrypter.decrypt(streamOf(encrypted)).catch(explain);
}

/** Slow on purpose (scrypt): a passphrase is used once, for the key of everything else. */
export async function encryptByPassphrase(passphrase: string, text: string): Promise<Uint8Array> {
  const { Encrypter, Stanza } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.addRecipient(passphraseRecipient(passphrase, Stanza));
  return encrypter.encrypt(text);
}

/** @throws WrongKey */
export async function decryptByPassphrase(passphrase: string, encrypted: Uint8Array): Promise<string> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  decrypter.addIdentity(passphraseIdentity(passphrase));
  return decrypter.decrypt(encrypted, 'text').catch(explain);
}

/** The library has no error classes. */
function explain(error: unknown): never {
  if (error instanceof Error && error.message.startsWith('no identity matched')) {
    throw new WrongKey('another key is needed', { cause: error });
  }
  throw error;
}
