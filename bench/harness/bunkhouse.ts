import { dirname, join } from 'node:path';
import type { Bench } from './area.ts';
import type { RunningServer, ServerSpec } from './server.ts';

const ROOT = dirname(dirname(import.meta.dir));
/** High enough that the limiter counts every request and refuses none. */
const UNREACHED_RATE = '100000000/60';
export const SECRET = 'a-secret-of-the-benchmarks-only-0123456789';
const PASSWORD = 'correct horse battery staple';

/** How we are started: as in production, with everything on. Later areas add what they need to `env`. */
export function bunkhouse(dataDir: string, env: Readonly<Record<string, string>> = {}): ServerSpec {
  return {
    name: 'bunkhouse',
    command: [join(ROOT, 'bunkhouse'), 'serve'],
    env: {
      NODE_ENV: 'production',
      DATA_DIR: dataDir,
      // Not there: an area that measures PHP says where its own is, all others are measured without php-fpm beside them.
      PHP_ROOT: join(dataDir, 'no-php'),
      BUNKHOUSE_SECRET: SECRET,
      RATE_LIMIT: UNREACHED_RATE,
      RATE_LIMIT_AUTH: UNREACHED_RATE,
      LOG_LEVEL: 'info',
      ...env,
    },
    readyPath: '/health/live',
  };
}

/** Starts us in a fresh directory of `bench`. */
export function startBunkhouse(
  bench: Bench,
  name: string,
  env?: Readonly<Record<string, string>>,
  isPinned = true,
): Promise<RunningServer> {
  return bench.start({ ...bunkhouse(join(bench.workDir, name), env), isPinned });
}

/** Registers a user, at our API or at a peer that has the same one; gives the header that speaks for them. */
export async function signUp(server: RunningServer): Promise<{ authorization: string }> {
  const response = await fetch(`${server.origin}/api/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'bench@example.org', password: PASSWORD }),
  });
  if (response.status !== 201)
    throw new Error(`${server.name} did not register: ${response.status} ${await response.text()}`);
  const { access_token } = (await response.json()) as { access_token: string };
  return { authorization: `Bearer ${access_token}` };
}
