import { basename, join } from 'node:path';
import { contextOf } from '../../web/context.ts';
import { fileResponse } from '../../web/file-response.ts';
import type { Fallback } from '../../web/module.ts';
import { isBelow, type OpenedFile, type OpenFile, realPathOf, representFile } from '../../web/static-file.ts';
import { decodeStaticPath } from './static-path.ts';

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
      return real !== null && isBelow(real, realRoot) ? openFile(real) : null;
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
        : fileResponse(request, representFile(target.name, target.file, { 'content-security-policy': SITE_POLICY }));
    },
    has: async (path: string) => (await find(path)) !== null,
  } satisfies Fallback;
}

/** The path passed `decodeStaticPath`, so it starts with one slash only and stays on this host. */
function redirectToDirectory(request: Request, path: string): Response {
  const query = /\?[^#]*/.exec(request.url)?.[0] ?? '';
  return new Response(null, { status: 308, headers: { location: `${path}/${query}`, 'cache-control': 'no-cache' } });
}
