import type { Config } from '../config/load.ts';
import { CommandError } from './command.ts';

/** There is no server to speak to, or no key to speak with. */
export class ServerAway extends CommandError {
  override readonly name = 'ServerAway';
}

const TIMEOUT_MS = 60_000;

/**
 * Calls the running server as another server would.
 * @param url where it is; the settings say so when it is not given.
 * @throws ServerAway when it cannot be called, CommandError when it refuses.
 */
export async function callServer<Answer>(
  config: Config,
  url: string | undefined,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<Answer> {
  if (config.serverKey === undefined) throw new ServerAway('SERVER_KEY is not set, so the server cannot be spoken to');
  const base = (url ?? config.publicUrl ?? listenUrl(config)).replace(/\/+$/, '');
  let response: Response;
  try {
    response = await fetch(base + path, {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { authorization: `Bearer ${config.serverKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ServerAway(`no server answers at ${base}`);
  }
  const answer = (await response.json().catch(() => ({}))) as Answer & { readonly detail?: string };
  if (!response.ok) throw new CommandError(`the server says ${response.status}: ${answer.detail ?? 'no reason given'}`);
  return answer;
}

/** Where the server listens as seen from its own machine. */
function listenUrl({ host, port, tlsCertificateFile }: Config): string {
  const near = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const scheme = tlsCertificateFile === undefined ? 'http' : 'https';
  return `${scheme}://${near.includes(':') ? `[${near}]` : near}:${port}`;
}
