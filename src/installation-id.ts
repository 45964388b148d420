import { createHash } from 'node:crypto';
import { createKeyring } from './kernel/keys.ts';

/** Names the system that a backup is of: the same on all machines that share the secret, and of no use to guess it. */
export function installationId(secret: string): string {
  return createHash('sha256').update(createKeyring(secret)('backup-installation')).digest('hex').slice(0, 32);
}
