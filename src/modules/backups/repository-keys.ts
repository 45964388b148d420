import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../ports/clock.ts';
import type { RepositoryStore } from '../../ports/repository-store.ts';
import {
  decryptByPassphrase,
  decryptWith,
  encryptByPassphrase,
  encryptTo,
  generateIdentity,
  recipientOf,
} from './age.ts';
import { backupProblems } from './problems.ts';
import { readBytes, readText, writeBytes, writeText } from './small-objects.ts';
import { bytesOf, once } from './streams.ts';

/**
 * The keys of a repository, each an age key pair:
 *
 * - `keys/<id>.json`: the public half, and a challenge that only the other half answers;
 * - `keys/<id>.<random>.age`: the secret half, encrypted with a passphrase, twice in case one is damaged. A key that somebody
 *   else keeps has none.
 *
 * A repository may have several, one after the other: what was encrypted to one stays so.
 */

/** What a repository is opened with; at most one of `passphrase` and `recipient`. */
export interface KeySettings {
  /** New objects are encrypted to a key of the repository's own that this opens. */
  readonly passphrase?: string | undefined;
  /** New objects are encrypted to this; it takes the identity to read them. */
  readonly recipient?: string | undefined;
  /** The text of an identity file: lines `AGE-SECRET-KEY-1…`, and comments. For reading. */
  readonly identity?: string | undefined;
}

export interface RepositoryKeys {
  /** What new objects are encrypted to; `null` when they are not, or the key is not made yet. */
  readonly recipient: string | null;
  /** The secret halves at hand, of one public half or all. */
  identities(recipient?: string): readonly string[];
  /**
   * Makes sure that what is encrypted from now on can be decrypted again.
   * @throws backups/unproven-key until the owner of a recipient has shown the identity; backups/needs-key when the repository
   * is encrypted and these settings are not.
   */
  prepare(): Promise<void>;
  /** Puts another passphrase in place of the one that opened the repository. */
  changePassphrase(passphrase: string): Promise<void>;
}

const PREFIX = 'keys/';
/** Of every secret half. */
const COPIES = 2;

/** @throws backups/wrong-key when the passphrase opens none of the repository's keys, or the identity is none. */
export async function openKeys(
  { store, clock }: { readonly store: RepositoryStore; readonly clock: Clock },
  settings: KeySettings,
): Promise<RepositoryKeys> {
  const known = new Map<string, string>();
  for (const identity of readIdentities(settings.identity)) {
    known.set(await recipientOf(identity).catch(notAnIdentity), identity);
  }
  /** The public half of the key that the passphrase opened. */
  let opened: string | null = null;

  if (settings.passphrase !== undefined) {
    const locked = await lockedKeys(store);
    for (const key of locked) {
      if ([...known.keys()].some((recipient) => key.startsWith(stemOf(recipient)))) continue;
      const encrypted = await readBytes(store, key);
      const identity = encrypted && (await unlock(settings.passphrase, encrypted));
      if (!identity) continue;
      const recipient = await recipientOf(identity);
      known.set(recipient, identity);
      opened ??= recipient;
    }
    if (locked.length > 0 && opened === null) {
      throw backupProblems.create('wrong-key', { detail: 'BACKUP_PASSPHRASE does not open this backup repository.' });
    }
  }

  const readCard = async (recipient: string) => readCardText(await readText(store, cardKey(recipient)), recipient);
  const prove = async (card: Card, identity: string): Promise<void> => {
    const answer = createHash('sha256');
    for await (const chunk of decryptWith([identity], once(Buffer.from(card.challenge, 'base64'))))
      answer.update(chunk);
    if (answer.digest('hex') !== card.answerSha256) throw backupProblems.create('wrong-key');
    await writeCard({ ...card, provedAt: new Date(clock.now()).toISOString() });
  };
  const writeCard = (card: Card) => writeText(store, cardKey(card.recipient), `${JSON.stringify(card, null, 2)}\n`);

  /** Stores an identity under a passphrase, reads it again and opens it. */
  const lock = async (identity: string, recipient: string, passphrase: string): Promise<void> => {
    const encrypted = await encryptByPassphrase(passphrase, `${identity}\n`);
    const keys = Array.from({ length: COPIES }, () => `${stemOf(recipient)}${randomBytes(4).toString('hex')}.age`);
    for (const key of keys) {
      await writeBytes(store, key, encrypted);
      const stored = await readBytes(store, key);
      if (stored && Buffer.compare(stored, encrypted) === 0) continue;
      await store.delete(key);
      throw backupProblems.create('damaged-write');
    }
    if ((await unlock(passphrase, encrypted)) !== identity) throw new Error('an identity did not come back as it was');
  };

  return {
    get recipient() {
      return settings.recipient ?? opened;
    },
    identities: (recipient) => {
      if (recipient === undefined) return [...known.values()];
      const identity = known.get(recipient);
      return identity === undefined ? [] : [identity];
    },
    async prepare() {
      if (settings.passphrase !== undefined && opened === null) {
        const identity = await generateIdentity();
        const recipient = await recipientOf(identity);
        await lock(identity, recipient, settings.passphrase);
        known.set(recipient, identity);
        opened = recipient;
      }
      const recipient = settings.recipient ?? opened;
      if (recipient === null) {
        for await (const _ of store.list(PREFIX)) throw backupProblems.create('needs-key', { detail: UNENCRYPTED });
        return;
      }
      const card = await readCard(recipient);
      if (card?.provedAt) return;
      const identity = known.get(recipient);
      if (identity !== undefined) return prove(card ?? (await makeCard(recipient, clock)), identity);
      if (!card) await writeCard(await makeCard(recipient, clock));
      throw backupProblems.create('unproven-key');
    },
    async changePassphrase(passphrase) {
      const identity = opened === null ? undefined : known.get(opened);
      if (opened === null || identity === undefined) throw backupProblems.create('needs-key');
      const stem = stemOf(opened);
      const old = (await lockedKeys(store)).filter((key) => key.startsWith(stem));
      await lock(identity, opened, passphrase);
      for (const key of old) await store.delete(key);
    },
  };
}

const UNENCRYPTED =
  'This repository holds encrypted backups, and neither BACKUP_PASSPHRASE nor BACKUP_RECIPIENT is set. Set it, or use another ' +
  'BACKUP_URL for backups that are not encrypted.';

/** The public description of a key. */
interface Card {
  readonly format: 1;
  readonly recipient: string;
  readonly createdAt: string;
  /** An age file (base64) that is encrypted to the recipient, and the hash of what is inside. */
  readonly challenge: string;
  readonly answerSha256: string;
  /** When somebody showed that the challenge can be decrypted. */
  readonly provedAt: string | null;
}

async function makeCard(recipient: string, clock: Clock): Promise<Card> {
  const answer = randomBytes(32);
  const challenge = await bytesOf(encryptTo(recipient, once(answer)));
  return {
    format: 1,
    recipient,
    createdAt: new Date(clock.now()).toISOString(),
    challenge: Buffer.from(challenge).toString('base64'),
    answerSha256: createHash('sha256').update(answer).digest('hex'),
    provedAt: null,
  };
}

/** `null` for what is no such description: it is made again then. */
function readCardText(text: string | null, recipient: string): Card | null {
  try {
    const card = JSON.parse(text ?? '') as Partial<Record<keyof Card, unknown>>;
    const isText = [card.createdAt, card.challenge, card.answerSha256].every((member) => typeof member === 'string');
    return isText && card.recipient === recipient
      ? ({ ...card, provedAt: typeof card.provedAt === 'string' ? card.provedAt : null } as Card)
      : null;
  } catch {
    return null;
  }
}

function readIdentities(text = ''): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (text !== '' && identities.length === 0) notAnIdentity();
  return identities;
}

function notAnIdentity(): never {
  throw backupProblems.create('wrong-key', {
    detail: 'The identity file holds no identity of age (a line AGE-SECRET-KEY-1…), as age-keygen makes it.',
  });
}

/** `null` when the passphrase is another one, or the object is damaged. */
async function unlock(passphrase: string, encrypted: Uint8Array): Promise<string | null> {
  try {
    return (await decryptByPassphrase(passphrase, encrypted)).trim();
  } catch {
    // A damaged copy must not hide a good one.
    return null;
  }
}

function cardKey(recipient: string): string {
  return `${stemOf(recipient)}json`;
}

function stemOf(recipient: string): string {
  return `${PREFIX}${createHash('sha256').update(recipient).digest('hex').slice(0, 12)}.`;
}

/** Where secret halves are, in an order that is the same for everybody. */
async function lockedKeys(store: RepositoryStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(PREFIX)) if (key.endsWith('.age')) keys.push(key);
  return keys.sort();
}
