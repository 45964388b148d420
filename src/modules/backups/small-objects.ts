import type { RepositoryStore } from '../../ports/repository-store.ts';
import { damaged } from './codec.ts';

const MAX_BYTES = 64 * 2 ** 20;

/** The text of an object; `null` when there is none. @throws backups/damaged when it is larger than any such object. */
export async function readSmall(store: RepositoryStore, key: string): Promise<string | null> {
  const body = await store.get(key);
  if (!body) return null;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw damaged({ key }, 'it is far too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

export async function writeSmall(store: RepositoryStore, key: string, text: string): Promise<void> {
  await store.put(
    key,
    (async function* () {
      yield Buffer.from(text);
    })(),
  );
}
