import type { ObjectEntry } from './manifest.ts';
import type { Repository } from './repository.ts';

/** A sealed document of a backup, read and compared as a whole. @throws backups/damaged */
export async function readSealed(repository: Pick<Repository, 'openObject'>, entry: ObjectEntry): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of repository.openObject(entry)) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}
