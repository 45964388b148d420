/** Password hashing. Costly by design, so implementations bound how much runs at once. */
export interface PasswordHasher {
  /** A PHC string (`$argon2id$…`). Throws `server/busy` when too many are waiting. */
  hash(password: string): Promise<string>;
  /** Whether the password belongs to the hash. Throws `server/busy` when too many are waiting. */
  verify(password: string, hash: string): Promise<boolean>;
  /** Whether the hash was made with other parameters than those in force. */
  isOutdated(hash: string): boolean;
}
