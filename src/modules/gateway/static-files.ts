import { type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { createLoopTurns } from '../../kernel/loop-turns.ts';
import { LruMap } from '../../kernel/lru.ts';
import type { MemoryTier } from '../../kernel/memory-tier.ts';
import type { Clock } from '../../ports/clock.ts';
import { contextOf } from '../../web/context.ts';
import type { Fallback } from '../../web/module.ts';
import { isBelow, type OpenedFile, type OpenFile, realPathOf } from '../../web/static-file.ts';
import { createStaticAsset, type StaticAsset } from './static-asset.ts';
import { createCompress } from './static-compression.ts';
import type { Coding } from './static-encodings.ts';
import { createStaticMemory, staticTier } from './static-memory.ts';
import { decodeStaticPath } from './static-path.ts';

export interface StaticFilesOptions {
  /** PUBLIC_DIR, absolute or relative to the working directory. It may be missing, and may appear later. */
  readonly root: string;
  readonly openFile: OpenFile;
  readonly clock: Clock;
  /** Where hot files and compressed ones are held, unless it is too small for that. */
  readonly memory: MemoryTier;
}

/** What a path means on disk. */
type Target =
  | { readonly kind: 'file'; readonly location: string; readonly file: OpenedFile }
  /** A directory with an index page, asked for without its slash. */
  | { readonly kind: 'directory' };

/** A file that was served, and what it looked like. */
interface Known {
  /** Below the root as it is written, links and all, so that a link that changes is noticed. */
  readonly location: string;
  readonly stats: Stats;
  /** Size and time of change of the compressed files beside it. */
  readonly siblings: Readonly<Record<string, readonly number[]>>;
  readonly checkedAt: number;
  /** The turn of the event loop in which it was last seen to be the same. */
  seenIn: number;
  readonly asset: StaticAsset;
}

/**
 * A site's own pages decide what they load; only being framed by strangers, plug-ins and a foreign base are ruled out.
 * Without a policy here the gate would set the one for API answers, under which no page works.
 */
const HEADERS = { 'content-security-policy': "base-uri 'self'; frame-ancestors 'self'; object-src 'none'" };
const INDEX = 'index.html';
const SIBLINGS: readonly (readonly [Coding, string])[] = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
];
const MAX_KNOWN = 4096;
const NEVER = -1;
/**
 * After so long everything about a file is looked at anew: compressed files beside it come and go without a trace on it. For as long
 * again the file is answered meanwhile.
 */
const RECHECK_MS = 5_000;
/** A compressed file that is older than its original by more than copying takes is one of an older original. */
const SIBLING_LAG_MS = 2_000;

/**
 * Serves the files below a directory for GET and HEAD: conditional requests, ranges, index pages, encodings. `has` tells whether
 * GET on a path (as sent, not decoded) would find a file or a directory's index. What is known of a file holds as long as the file
 * is the same one, unchanged; that is looked at for each request, but once for all that one
 * turn of the event loop answers.
 */
export function createStaticFiles({ root, openFile, clock, memory }: StaticFilesOptions) {
  const openPlace = createStaticMemory(staticTier(memory));
  const compress = createCompress();
  const turnOf = createLoopTurns();
  const known = new LruMap<string, Known>(MAX_KNOWN);

  const openBelow = async (location: string, realRoot: string): Promise<OpenedFile | null> => {
    const real = await realPathOf(location);
    return real !== null && isBelow(real, realRoot) ? openFile(real) : null;
  };

  const find = async (path: string): Promise<Target | null> => {
    const wanted = decodeStaticPath(path);
    const realRoot = wanted && (await realPathOf(root));
    if (!realRoot) return null;
    const location = join(root, ...wanted.segments);
    if (!wanted.isDirectory) {
      const file = await openBelow(location, realRoot);
      if (file) return { kind: 'file', location, file };
    }
    const indexLocation = join(location, INDEX);
    const index = await openBelow(indexLocation, realRoot);
    if (!index) return null;
    return wanted.isDirectory ? { kind: 'file', location: indexLocation, file: index } : { kind: 'directory' };
  };

  const findSiblings = async (location: string, file: OpenedFile) => {
    const realRoot = await realPathOf(root);
    const found: Partial<Record<Coding, OpenedFile>> = {};
    if (realRoot === null) return found;
    for (const [coding, extension] of SIBLINGS) {
      const sibling = await openBelow(location + extension, realRoot);
      if (sibling && sibling.size > 0 && sibling.mtimeMs >= file.mtimeMs - SIBLING_LAG_MS) found[coding] = sibling;
    }
    return found;
  };

  const forget = (path: string) => {
    known.get(path)?.asset.forget();
    known.delete(path);
  };

  /** The file as it is known, while it is still that file. */
  const recall = (path: string): StaticAsset | null => {
    const entry = known.get(path);
    if (!entry) return null;
    const turn = turnOf();
    if (entry.seenIn === turn) return entry.asset;
    if (!isSame(entry.stats, statOf(entry.location))) {
      forget(path);
      return null;
    }
    const age = clock.now() - entry.checkedAt;
    // The wall clock may be set back.
    if (age < 0) return null;
    if (age > RECHECK_MS) {
      if (age > 2 * RECHECK_MS) return null;
      // Behind the answer: what is hot need not wait for it.
      look(path).catch(() => forget(path));
    }
    entry.seenIn = turn;
    return entry.asset;
  };

  /** A look that costs microseconds, for the sake of those who are asked after this: on many sites most pages are theirs. */
  const isNothing = (path: string): boolean => {
    const wanted = decodeStaticPath(path);
    return !wanted || statOf(join(root, ...wanted.segments, wanted.isDirectory ? INDEX : '')) === null;
  };

  const looks = new Map<string, Promise<StaticAsset | 'directory' | null>>();
  /** Looks at everything about a path, once for all who want to know meanwhile. */
  const look = (path: string): Promise<StaticAsset | 'directory' | null> => {
    const underway = looks.get(path);
    if (underway) return underway;
    const looking = examine(path).finally(() => looks.delete(path));
    looks.set(path, looking);
    return looking;
  };

  const examine = async (path: string): Promise<StaticAsset | 'directory' | null> => {
    const target = await find(path);
    if (target?.kind !== 'file') {
      forget(path);
      return target ? 'directory' : null;
    }
    const { location, file } = target;
    const stats = statOf(location);
    const siblings = await findSiblings(location, file);
    const before = known.get(path);
    const sameBefore = before && isSame(before.stats, stats) && isDeepStrictEqual(before.siblings, stampsOf(siblings));
    const asset =
      sameBefore === true
        ? before.asset
        : createStaticAsset({ name: basename(location), file, siblings }, { openPlace, compress, headers: HEADERS });
    if (!sameBefore) before?.asset.forget();
    // Remembered only when nothing changed while it was looked at.
    if (stats && stats.size === file.size && stats.mtimeMs === file.mtimeMs) {
      const checkedAt = clock.now();
      known.set(path, { location, stats, siblings: stampsOf(siblings), checkedAt, seenIn: NEVER, asset });
    } else known.delete(path);
    return asset;
  };

  const answer = async (request: Request, path: string): Promise<Response | null> => {
    if (looks.has(path)) {
      await look(path).catch(() => null);
      // What others had looked up may have changed by now.
      const seen = recall(path);
      if (seen) return seen.respond(request);
    }
    const found = await look(path);
    return found === 'directory' ? redirectToDirectory(request, path) : (found?.respond(request) ?? null);
  };

  return {
    route: 'static',
    handle(request: Request) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return null;
      const { path } = contextOf(request);
      return recall(path)?.respond(request) ?? (isNothing(path) ? null : answer(request, path));
    },
    has: async (path: string) => (await find(path)) !== null,
  } satisfies Fallback;
}

function stampsOf(siblings: Readonly<Partial<Record<Coding, OpenedFile>>>): Known['siblings'] {
  return Object.fromEntries(Object.entries(siblings).map(([coding, { size, mtimeMs }]) => [coding, [size, mtimeMs]]));
}

/** A look that costs microseconds: whatever is served was looked at a moment ago. */
function statOf(location: string): Stats | null {
  try {
    return statSync(location, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

function isSame(before: Stats, now: Stats | null): boolean {
  return (
    now !== null &&
    now.mtimeMs === before.mtimeMs &&
    now.size === before.size &&
    now.ino === before.ino &&
    now.dev === before.dev &&
    now.ctimeMs === before.ctimeMs
  );
}

/** The path passed `decodeStaticPath`, so it starts with one slash only and stays on this host. */
function redirectToDirectory(request: Request, path: string): Response {
  const query = /\?[^#]*/.exec(request.url)?.[0] ?? '';
  return new Response(null, { status: 308, headers: { location: `${path}/${query}`, 'cache-control': 'no-cache' } });
}
