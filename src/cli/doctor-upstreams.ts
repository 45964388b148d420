import type { Config } from '../config/load.ts';
import { joinProxyRoutes } from '../config/proxy-routes.ts';
import { fetchUpstream } from '../drivers/fetch-upstream.ts';
import { UpstreamFault } from '../ports/upstream.ts';
import type { Finding } from './finding.ts';

const ANSWER_MS = 3_000;

/** Asks every server of `PROXY_ROUTES` for its prefix. Whatever it answers, it is there; one that is not may come later. */
export async function checkUpstreams({ proxyRoutes = [] }: Pick<Config, 'proxyRoutes'>): Promise<Finding[]> {
  const routes = joinProxyRoutes(proxyRoutes);
  return Promise.all(
    routes.flatMap(({ prefix, origins }) => origins.map((origin) => checkUpstream(prefix || '/', origin))),
  );
}

async function checkUpstream(prefix: string, origin: string): Promise<Finding> {
  const subject = `upstream ${prefix}`;
  try {
    const { status } = await fetchUpstream({
      url: origin + prefix,
      method: 'HEAD',
      headers: new Headers(),
      body: null,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return { level: 'ok', subject, message: `${origin} answers with ${status}` };
  } catch (error) {
    const isThere = error instanceof UpstreamFault && error.kind === 'answer';
    return { level: 'warning', subject, message: `${origin} ${isThere ? 'does not speak HTTP' : 'cannot be reached'}` };
  }
}
