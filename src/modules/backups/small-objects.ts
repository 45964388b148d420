import type { RepositoryStore } from '../../ports/repository-store.ts';
import { damaged } from './codec.ts';

const MAX_BYTES = 64 * 2 ** 20;

/** The content of an object; `null` when there is none. @throws backups/damaged when it is larger than any that is read so. */
export async function readBytes(store: RepositoryStore, key: string): Promise<Uint8Array | null> {
  const body = await store.get(key);
  if (!body) return null;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw damaged({ key }, 'it is far too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export async function readText(store: RepositoryStore, key: string): Promise<string | null> {
  const bytes = await readBytes(store, key);
  return bytes && new TextDecoder().decode(bytes);
}

export async function writeBytes(store: RepositoryStore, key: string, bytes: Uint8Array): Promise<void> {
  await store.put(key, bytes);
}

export async function writeText(store: RepositoryStore, key: string, text: string): Promise<void> {
  await store.put(key, new TextEncoder().encode(text));
}
