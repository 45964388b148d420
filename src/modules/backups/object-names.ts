/** What an object of a repository is, apart from how it is stored. */
export type ObjectName =
  /** The content of a user's file. */
  | { readonly kind: 'blob'; readonly sha256: string }
  /** The image of a database. */
  | { readonly kind: 'database'; readonly database: string; readonly sha256: string }
  /** The blobs of a snapshot. */
  | { readonly kind: 'list'; readonly sha256: string }
  /** A small document that names people or holds a secret. */
  | { readonly kind: 'sealed'; readonly sha256: string };

const SHA256 = '[0-9a-f]{64}';
/** Random, for what is encrypted: two runs that encrypt the same content never meet under one key. */
const ENCRYPTED = '\\.[0-9a-f]{12}\\.zst\\.age';

const PATTERNS: readonly (readonly [ObjectName['kind'], RegExp])[] = [
  ['blob', new RegExp(`^blobs/(?<shard>[0-9a-f]{2})/(?<sha256>\\k<shard>[0-9a-f]{62})(?:\\.zst|${ENCRYPTED})$`)],
  [
    'database',
    new RegExp(`^databases/(?<database>[a-z][a-z0-9_]{0,62})/(?<sha256>${SHA256})\\.sqlite(?:\\.zst|${ENCRYPTED})$`),
  ],
  ['list', new RegExp(`^lists/(?<sha256>${SHA256})\\.txt\\.zst$`)],
  ['sealed', new RegExp(`^sealed/(?<sha256>${SHA256})\\.json(?:\\.zst|${ENCRYPTED})$`)],
];

/** Where an object is kept. @param nonce 12 hex digits when it is encrypted, else `null`. */
export function toKey(name: ObjectName, nonce: string | null): string {
  return `${toStem(name)}${nonce === null ? '' : `.${nonce}`}.zst${nonce === null ? '' : '.age'}`;
}

/** What the keys of an object begin with, encrypted or not. */
export function toStem(name: ObjectName): string {
  switch (name.kind) {
    case 'blob':
      return `blobs/${name.sha256.slice(0, 2)}/${name.sha256}`;
    case 'database':
      return `databases/${name.database}/${name.sha256}.sqlite`;
    case 'list':
      return `lists/${name.sha256}.txt`;
    case 'sealed':
      return `sealed/${name.sha256}.json`;
  }
}

/** Reads a key; `null` when it is none of ours. Keys of a manifest come from outside: what passes here is a safe path. */
export function fromKey(key: string): ObjectName | null {
  for (const [kind, pattern] of PATTERNS) {
    const found = pattern.exec(key)?.groups;
    if (!found) continue;
    const sha256 = found['sha256'] as string;
    return kind === 'database' ? { kind, sha256, database: found['database'] as string } : { kind, sha256 };
  }
  return null;
}

export function isEncryptedKey(key: string): boolean {
  return key.endsWith('.age');
}
