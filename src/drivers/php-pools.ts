import type { Logger } from '../ports/logger.ts';
import type { PhpObserver, PhpPool } from '../ports/php-pool.ts';
import { attachedPhpPool } from './attached-php-pool.ts';
import type { FastCgiAddress } from './fastcgi-connection.ts';
import { findPhpFpm } from './php-fpm-binary.ts';
import { spawnedPhpPool } from './spawned-php-pool.ts';

export interface PhpPoolOptions {
  /** Start a php-fpm, or use the one that listens there. */
  readonly phpFpm: 'spawn' | FastCgiAddress;
  readonly documentRoot: string;
  readonly dataDir: string;
  readonly children: number;
  readonly maxBodyBytes: number;
  readonly log: Logger;
}

/** The pool that the settings ask for; `null` when one is to be started and there is no php-fpm on this machine. */
export function openPhpPool({ phpFpm, ...options }: PhpPoolOptions, observer: PhpObserver): PhpPool | null {
  if (phpFpm !== 'spawn') return attachedPhpPool({ address: phpFpm, size: options.children, observer });
  const binary = findPhpFpm(process.env['PATH'] ?? '');
  return binary === null ? null : spawnedPhpPool({ ...options, binary, observer });
}
