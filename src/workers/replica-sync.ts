/**
 * A child process that keeps one replica file up to date with libSQL's own replication. It is a process of its own because the
 * native client holds its thread during network calls, may abort its process, and must not share one with another SQLite
 * library that has the file open.
 *
 * Speaks over the channel of `Bun.spawn`: `{ open }` once, then any number of `{ sync }`, each answered with its number. Ends
 * when the channel closes.
 */
import type { Client } from '@libsql/core/api';

/** From the parent. */
export type SyncRequest =
  | { readonly open: { readonly url: string; readonly path: string; readonly authToken: string } }
  | { readonly sync: number };

/** To the parent. */
export type SyncAnswer =
  | { readonly synced: number; readonly frame: number | null }
  | { readonly failed: number; readonly reason: string };

if (import.meta.main) {
  const opening = Promise.withResolvers<Client>();
  opening.promise.catch(() => undefined);
  const answer = (message: SyncAnswer) => process.send?.(message);

  process.on('disconnect', () => process.exit(0));
  process.on('message', async (request: SyncRequest) => {
    if ('open' in request) {
      await openReplica(request.open).then(opening.resolve, opening.reject);
      return;
    }
    try {
      const client = await opening.promise;
      const replicated = await client.sync();
      answer({ synced: request.sync, frame: replicated?.frame_no ?? null });
    } catch (error) {
      answer({ failed: request.sync, reason: error instanceof Error ? error.message : 'unknown' });
    }
  });
}

async function openReplica(options: { url: string; path: string; authToken: string }): Promise<Client> {
  // Loaded here alone: the server itself does without the native module.
  const { createClient } = await import('@libsql/client/sqlite3');
  return createClient({ url: `file:${options.path}`, syncUrl: options.url, authToken: options.authToken });
}
