import { contextOf } from '../../web/context.ts';
import type { Fallback } from '../../web/module.ts';
import { loadPage } from './page.ts';

/**
 * The page at `/` when nobody else answers there: what is running, where its documentation is, how it feels. A
 * fallback and not a route, because a site in PUBLIC_DIR or PHP mounted at `/` goes first.
 *
 * @param version of the running server.
 */
export function createLandingPage(version: string): Fallback {
  const page = loadPage('landing.html', 'text/html; charset=utf-8', { version });
  return {
    route: 'landing',
    handle: (request) => {
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      return isRead && contextOf(request).path === '/' ? page(request) : null;
    },
    has: (path) => path === '/',
  };
}
