import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPhpFpm } from '../../src/drivers/php-fpm-binary.ts';
import { phpFpmConfig } from '../../src/drivers/php-fpm-config.ts';
import { choosePhpOwner } from '../../src/drivers/php-fpm-owner.ts';
import { pingPhpFpm } from '../../src/drivers/php-fpm-status.ts';
import { pinned, SERVER_CORE } from '../harness/tools.ts';

/** A php-fpm for one contender, with the configuration that Bunkhouse writes. */
export interface BenchPhpFpm {
  readonly socket: string;
  stop(): Promise<void>;
}

/** Children of every pool. */
export const CHILDREN = 4;

/** Starts one on the servers' core; each contender has its own, so that nobody holds another's children. */
export async function startPhpFpm(folder: string): Promise<BenchPhpFpm> {
  const binary = findPhpFpm(process.env['PATH'] ?? '');
  if (binary === null) throw new Error('needed and not found: php-fpm');
  mkdirSync(folder, { recursive: true });
  const [socket, statusSocket, file] = ['fpm.sock', 'status.sock', 'php-fpm.conf'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const owner = choosePhpOwner('/');
  writeFileSync(
    file,
    phpFpmConfig({ runDir: folder, socket, statusSocket, children: CHILDREN, owner, maxBodyBytes: 0 }),
  );
  const child = Bun.spawn(pinned(SERVER_CORE, [binary, '-F', '-O', '-y', file]), {
    stdout: 'ignore',
    stderr: 'ignore',
  });
  for (let attempt = 0; !(await pingPhpFpm({ unix: statusSocket })); attempt++) {
    if (attempt === 200 || child.exitCode !== null) throw new Error('php-fpm did not start');
    await Bun.sleep(25);
  }
  return {
    socket,
    async stop() {
      child.kill('SIGTERM');
      await child.exited;
    },
  };
}
