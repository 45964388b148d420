import type { PhpFpmStatus, PhpRequest } from '../ports/php-pool.ts';
import { createFastCgiCodec, type FastCgiAddress, FastCgiConnection } from './fastcgi-connection.ts';
import { ConnectionLost } from './fastcgi-exchange.ts';

const TIMEOUT_MS = 2_000;

/** Whether php-fpm answers on its status socket. */
export async function pingPhpFpm(address: FastCgiAddress): Promise<boolean> {
  return (await ask(address, '/ping', '').catch(() => null)) === 'pong';
}

/** php-fpm's own counters; `null` when it does not tell. */
export async function readPhpFpmStatus(address: FastCgiAddress): Promise<PhpFpmStatus | null> {
  try {
    const status = JSON.parse(await ask(address, '/status', 'json')) as { readonly [name: string]: unknown };
    const count = (name: string) => Number(status[name] ?? 0);
    return {
      listenQueue: count('listen queue'),
      maxListenQueue: count('max listen queue'),
      activeProcesses: count('active processes'),
      maxChildrenReached: count('max children reached'),
      slowRequests: count('slow requests'),
    };
  } catch {
    return null;
  }
}

/** Whether somebody speaks FastCGI there and a child is free. */
export async function probeFastCgi(address: FastCgiAddress): Promise<boolean> {
  try {
    await withConnection(address, (connection) => connection.probe());
    return true;
  } catch {
    return false;
  }
}

function ask(address: FastCgiAddress, path: string, query: string): Promise<string> {
  const request: PhpRequest = {
    params: [
      ['REQUEST_METHOD', 'GET'],
      ['SCRIPT_NAME', path],
      ['SCRIPT_FILENAME', path],
      ['QUERY_STRING', query],
      ['SERVER_PROTOCOL', 'HTTP/1.1'],
    ],
    body: null,
    isSafe: true,
    isGone: () => false,
    onErrors: () => undefined,
  };
  return withConnection(address, async (connection) => {
    const { body } = await connection.send(request, createFastCgiCodec());
    return new Response(body).text();
  });
}

/** On a connection of its own, which is cut when it takes too long. */
async function withConnection<T>(
  address: FastCgiAddress,
  use: (connection: FastCgiConnection) => Promise<T>,
): Promise<T> {
  const ignored = { onIdle: () => undefined, onClosed: () => undefined };
  const connection = await FastCgiConnection.open(address, ignored, TIMEOUT_MS);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new ConnectionLost('no answer in time', true)), TIMEOUT_MS);
  try {
    return await Promise.race([use(connection), late]);
  } finally {
    clearTimeout(timer);
    connection.close(new ConnectionLost('no longer needed', true));
  }
}
