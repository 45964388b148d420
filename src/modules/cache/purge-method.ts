import type { Caller } from '../../kernel/caller.ts';
import { isLoopback } from '../../kernel/loopback.ts';
import { accessProblems } from '../../kernel/problems.ts';
import type { PurgeOrder } from '../../ports/cache.ts';
import { splitTags } from './http-fill.ts';
import { TAG_FIELDS } from './http-headers.ts';

/** What proxies add: a request that has one comes from further away than its peer. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via', 'fly-client-ip'];
const MAX_TAGS = 1_000;

export interface PurgeCaller {
  readonly caller: Caller | null;
  /** Address of the other end, with forwarding headers believed where they are to be. */
  readonly address: string;
}

export interface PurgeMethodOptions {
  readonly purge: (order: PurgeOrder) => Promise<number | null>;
  /** Whether an address is that of PHP, where PHP runs beside this machine. */
  readonly isSidecar: ((address: string) => Promise<boolean>) | null;
}

/**
 * `PURGE <url>`, as cache plug-ins of content management systems send it: drops what is stored for the URL, or with `Surrogate-Key`,
 * `xkey` or `Cache-Tags` everything that carries one of the tags. `Purge-Mode: soft` marks stale instead.
 *
 * Loopback and PHP's own address may, because that is where a site's own programs are; everybody else must be an admin.
 *
 * @throws AppError `auth/required` or `auth/forbidden`.
 */
export async function answerPurge(
  request: Request,
  { caller, address }: PurgeCaller,
  { purge, isSidecar }: PurgeMethodOptions,
): Promise<Response> {
  if (caller?.role !== 'admin') {
    const isDirect = !FORWARDED.some((name) => request.headers.has(name));
    const isOwn = isDirect && (isLoopback(address) || (await isSidecar?.(address)));
    if (!isOwn) throw accessProblems.create(caller ? 'forbidden' : 'required');
  }
  const tags = TAG_FIELDS.flatMap((name) => splitTags(request.headers.get(name))).slice(0, MAX_TAGS);
  const target: PurgeOrder = tags.length > 0 ? { tags } : { keys: [request.url] };
  const soft = request.headers.get('purge-mode')?.toLowerCase() === 'soft';
  return Response.json({ purged: await purge({ ...target, soft }) });
}
