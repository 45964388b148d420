import { requestProblems } from '../kernel/problems.ts';
import { toProblemResponse } from './problems.ts';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

export interface HostRules {
  readonly publicUrl: string;
  /** Names with or without a port; `*` for any. */
  readonly allowed: readonly string[];
}

/**
 * Whether to answer for a `Host`. Checked before anything routes: the router cuts the path at a fixed offset, so a very short
 * host would shift it past the gate; an unknown one would poison links or carry a DNS rebinding.
 */
export function createHostCheck({ publicUrl, allowed }: HostRules): (host: string | null) => boolean {
  const names = new Set([new URL(publicUrl).host, new URL(publicUrl).hostname, ...allowed]);
  const any = names.has('*');
  return (host) => {
    if (host === null || host.length < 4) return false;
    if (names.has(host)) return true;
    const lower = host.toLowerCase();
    if (!isHost(lower)) return false;
    const name = lower.replace(/:\d+$/, '');
    return any || LOOPBACK.has(name) || name.endsWith('.localhost') || names.has(lower) || names.has(name);
  };
}

/** With anything else in it the runtime would hand on a URL without a host. */
function isHost(host: string): boolean {
  return /^[a-z0-9._-]+(:\d+)?$|^\[[0-9a-f:.]+\](:\d+)?$/.test(host);
}

/** The answer to a request for somebody else's host (RFC 9110 §15.5.20), or for no request target at all (RFC 9112 §3.2). */
export function refusedResponse(reason: 'misdirected' | 'malformed', requestId: string, path: string): Response {
  const response = toProblemResponse(requestProblems.create(reason), { requestId, path });
  response.headers.set('x-request-id', requestId);
  return response;
}
