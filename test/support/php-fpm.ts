import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastCgiAddress } from '../../src/drivers/fastcgi-connection.ts';
import { findPhpFpm } from '../../src/drivers/php-fpm-binary.ts';
import { choosePhpOwner } from '../../src/drivers/php-fpm-owner.ts';
import { probeFastCgi } from '../../src/drivers/php-fpm-status.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-ports.ts';

/** The php-fpm of this machine; without one these tests have nothing to run against. */
export const PHP_FPM = findPhpFpm(process.env['PATH'] ?? '');

/** A folder that the account of the scripts may read, with some scripts in it. */
export interface ScriptFolder {
  readonly path: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function createScriptFolder(scripts: Readonly<Record<string, string>>): Promise<ScriptFolder> {
  const path = await mkdtemp(join(tmpdir(), 'bunkhouse-php-'));
  await chmod(path, 0o755);
  for (const [name, code] of Object.entries(scripts)) await writeFile(join(path, name), code);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A php-fpm that somebody else runs. */
export interface TestPhpFpm {
  readonly address: FastCgiAddress;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startPhpFpm(
  kind: 'unix' | 'tcp',
  { children = 2, maxRequests = 0 }: { readonly children?: number; readonly maxRequests?: number } = {},
): Promise<TestPhpFpm> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-fpm-'));
  const owner = choosePhpOwner(folder);
  const port = kind === 'tcp' ? await freePort() : 0;
  const address: FastCgiAddress = kind === 'tcp' ? { hostname: '127.0.0.1', port } : { unix: join(folder, 'fpm.sock') };
  const config = join(folder, 'fpm.conf');
  await writeFile(
    config,
    `[global]
daemonize = no
error_log = ${folder}/fpm.log
[www]
${owner ? `user = ${owner.uid}\ngroup = ${owner.gid}` : ''}
listen = ${'unix' in address ? address.unix : `127.0.0.1:${port}`}
pm = static
pm.max_children = ${children}
pm.max_requests = ${maxRequests}
php_admin_value[cgi.fix_pathinfo] = 0
`,
  );
  const child = Bun.spawn([PHP_FPM ?? 'php-fpm', '-F', '-O', '-y', config], { stdout: 'ignore', stderr: 'ignore' });
  await eventually(() => probeFastCgi(address));
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
