import { loadPage, type Page } from './page.ts';

/**
 * The form behind the one-time set-up link. The token follows `#` in the link, so it reaches neither this server's log
 * nor any proxy; the page's script sends it to `POST /api/auth/setup` with the e-mail and the password.
 */
export function createSetupPage(): Page {
  return loadPage('setup.html', 'text/html; charset=utf-8');
}
