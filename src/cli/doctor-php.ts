import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '../config/load.ts';
import { findBarrier } from '../drivers/php-fpm-access.ts';
import { findPhpFpm } from '../drivers/php-fpm-binary.ts';
import { choosePhpOwner } from '../drivers/php-fpm-owner.ts';
import { probeFastCgi } from '../drivers/php-fpm-status.ts';
import type { Finding } from './finding.ts';

/** Whether PHP can run here, and what keeps it from it. */
export async function checkPhp(config: Config): Promise<Finding[]> {
  if (!config.servers.includes('php')) return [];
  const root = resolve(config.phpRoot);
  if (!existsSync(root)) {
    return [{ level: 'ok', subject: 'PHP_ROOT', message: 'is not there: nothing is served under PHP_MOUNT' }];
  }
  const real = realpathSync(root);
  return [
    await checkPhpFpm(config),
    ...checkReading(config, real),
    ...checkScript(config, real),
    ...checkExtensions(real),
  ];
}

/** Whether there is a php-fpm. */
async function checkPhpFpm({ phpFpm }: Config): Promise<Finding> {
  const subject = 'PHP_FPM';
  if (phpFpm !== 'spawn') {
    if (await probeFastCgi(phpFpm)) return { level: 'ok', subject, message: 'php-fpm answers' };
    const hint =
      'unix' in phpFpm
        ? 'does the socket exist, and may this account open it (listen.mode, listen.owner)?'
        : 'is it running?';
    return { level: 'warning', subject, message: `php-fpm does not answer, or has no free child: ${hint}` };
  }
  const binary = findPhpFpm(process.env['PATH'] ?? '');
  return binary === null
    ? { level: 'warning', subject, message: 'there is no php-fpm on this machine; on Debian: apt-get install php-fpm' }
    : { level: 'ok', subject, message: `${binary} will be started` };
}

function checkReading({ phpFpm }: Config, root: string): Finding[] {
  // Under which account another php-fpm runs is not known here.
  const owner = phpFpm === 'spawn' ? choosePhpOwner(root) : null;
  const barrier = owner && findBarrier(root, owner);
  if (!owner || !barrier) return [];
  const { path, lacks } = barrier;
  return [
    {
      level: 'fault',
      subject: 'PHP_ROOT',
      message: `scripts run as user ${owner.uid}, who lacks ${lacks} on ${path}: chmod o+${lacks} ${path}`,
    },
  ];
}

function checkScript({ phpMode, phpScript = 'index.php' }: Config, root: string): Finding[] {
  if (phpMode === 'files' || existsSync(join(root, phpScript))) return [];
  return [{ level: 'fault', subject: 'PHP_SCRIPT', message: `${phpScript} is not below PHP_ROOT, so nothing can run` }];
}

function checkExtensions(root: string): Finding[] {
  const strange = readdirSync(root).filter(
    (name) => /\.(?:php\d|phtml|php\.txt)$/i.test(name) || /\.(?!php$)php$/i.test(name),
  );
  if (strange.length === 0) return [];
  const names = strange.slice(0, 5).join(', ');
  return [{ level: 'warning', subject: 'PHP_ROOT', message: `only files that end in .php run: rename ${names}` }];
}
