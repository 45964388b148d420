import { realpath } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import type { ByteRange } from '../../ports/object-store.ts';
import { contextOf } from '../../web/context.ts';
import { fileResponse } from '../../web/file-response.ts';
import type { Fallback } from '../../web/module.ts';
import { cachePolicyOf } from './cache-policy.ts';
import { mediaTypeOf } from './media-types.ts';
import { decodeStaticPath } from './static-path.ts';

/** A regular file that may be sent. */
export interface OpenedFile {
  /** Bytes. */
  readonly size: number;
  /** Last change, in milliseconds since the epoch, with fractions where the file system has them. */
  readonly mtimeMs: number;
  /** The bytes, or an inclusive range inside them; may be called more than once. */
  open(range?: ByteRange): Blob | ReadableStream<Uint8Array>;
}

/**
 * Looks at the file under an absolute path that holds no symbolic link. `null` when there is none or it is no regular
 * file; MUST NOT wait on pipes or devices. Other failures of the file system are thrown.
 */
export type OpenFile = (path: string) => Promise<OpenedFile | null>;

export interface StaticFilesOptions {
  /** PUBLIC_DIR, absolute or relative to the working directory. It may be missing, and may appear later. */
  readonly root: string;
  readonly openFile: OpenFile;
}

/** What a path means on disk. */
type Target =
  | { readonly kind: 'file'; readonly name: string; readonly file: OpenedFile }
  /** A directory with an index page, asked for without its slash. */
  | { readonly kind: 'directory' };

/**
 * A site's own pages decide what they load; only being framed by strangers, plug-ins and a foreign base are ruled out.
 * Without a policy here the gate would set the one for API answers, under which no page works.
 */
const SITE_POLICY = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'";
const INDEX = 'index.html';

/**
 * Serves the files below a directory for GET and HEAD: conditional requests, ranges, index pages. `has` tells whether
 * GET on a path (as sent, not decoded) would find a file or a directory's index.
 */
export function createStaticFiles({ root, openFile }: StaticFilesOptions) {
  const find = async (path: string): Promise<Target | null> => {
    const wanted = decodeStaticPath(path);
    const realRoot = wanted && (await realPathOf(root));
    if (!realRoot) return null;

    const openInside = async (location: string): Promise<OpenedFile | null> => {
      const real = await realPathOf(location);
      return real?.startsWith(withSeparator(realRoot)) ? openFile(real) : null;
    };

    const location = join(realRoot, ...wanted.segments);
    if (!wanted.isDirectory) {
      const file = await openInside(location);
      if (file) return { kind: 'file', name: basename(location), file };
    }
    const index = await openInside(join(location, INDEX));
    if (!index) return null;
    return wanted.isDirectory ? { kind: 'file', name: INDEX, file: index } : { kind: 'directory' };
  };

  return {
    route: 'static',
    async handle(request: Request) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return null;
      const { path } = contextOf(request);
      const target = await find(path);
      if (!target) return null;
      return target.kind === 'directory'
        ? redirectToDirectory(request, path)
        : fileResponse(request, represent(target));
    },
    has: async (path: string) => (await find(path)) !== null,
  } satisfies Fallback;
}

function represent({ name, file }: Extract<Target, { kind: 'file' }>) {
  return {
    size: file.size,
    type: mediaTypeOf(name),
    etag: `"${file.size.toString(36)}-${Math.round(file.mtimeMs * 1000).toString(36)}"`,
    lastModified: file.mtimeMs,
    headers: { 'cache-control': cachePolicyOf(name), 'content-security-policy': SITE_POLICY },
    open: async (range?: ByteRange) => file.open(range),
  };
}

/** The path passed `decodeStaticPath`, so it starts with one slash only and stays on this host. */
function redirectToDirectory(request: Request, path: string): Response {
  const query = /\?[^#]*/.exec(request.url)?.[0] ?? '';
  return new Response(null, { status: 308, headers: { location: `${path}/${query}`, 'cache-control': 'no-cache' } });
}

/** The path without symbolic links; `null` when nothing can be there. */
async function realPathOf(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (MISSING.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES', 'EINVAL']);

function withSeparator(directory: string): string {
  return directory.endsWith(sep) ? directory : directory + sep;
}
