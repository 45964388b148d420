import { statfs } from 'node:fs/promises';
import { isAbsolute, resolve as toAbsolute } from 'node:path';
import type { HealthCheck } from '../../kernel/checks.ts';
import type { Metrics } from '../../kernel/metrics.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HttpCache, HttpCacheRule, HttpOrigin } from '../../ports/http-cache.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PhpObserver, PhpPool } from '../../ports/php-pool.ts';
import type { Fallback, Module } from '../../web/module.ts';
import { type OpenFile, realPathOf } from '../../web/static-file.ts';
import { createBodyTaker } from './body.ts';
import { createCached } from './cached.ts';
import { createEnvironment } from './environment.ts';
import { createPhpHandler } from './handler.ts';
import { createPhpOrigin } from './origin.ts';
import { createPoolMetrics } from './pool-metrics.ts';
import { createResolver, type PhpMode } from './resolve.ts';
import { createPhpRules } from './rules.ts';
import { createScriptRunner } from './run-script.ts';
import { createScriptErrors } from './script-errors.ts';
import { createSendfile } from './sendfile.ts';

export interface PhpOptions {
  /** PHP_ROOT. It may be missing, and may appear later. */
  readonly root: string;
  /** PHP_MOUNT: `/` is the whole site. */
  readonly mount: string;
  readonly mode: PhpMode;
  /** PHP_SCRIPT; in `files` mode without it, what is nothing on disk is not found. */
  readonly script: string | undefined;
  /** PHP_DENY: prefixes below the root. */
  readonly deny: readonly string[];
  readonly follow: readonly string[];
  readonly sendfileRoot: string | undefined;
  /** Makes the pool; `null` when there is no php-fpm on this machine. */
  readonly createPool: (observer: PhpObserver) => PhpPool | null;
  readonly maxBodyBytes: number;
  /** Where large bodies wait for their script. */
  readonly spoolDir: string;
  readonly version: string;
  /** The address that the server listens on. */
  readonly host: string;
  readonly publish: () => { readonly url: string; readonly key: string };
  readonly sessionCookie: string;
  readonly cache: HttpCache;
  /** The cache's rule of the settings for a path. */
  readonly ruleFor: (path: string, name: string) => HttpCacheRule;
  /** Who is asked before PHP where it answers the whole site. */
  readonly before: () => readonly Fallback[];
  readonly openFile: OpenFile;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface Php extends Module {
  /** For those who ask the cache about scripts. */
  readonly origin: HttpOrigin;
  readonly checks: readonly HealthCheck[];
  /** It answers the whole site, and so comes after the public files. */
  readonly isWholeSite: boolean;
  /** Takes up changed PHP configuration and code without losing a request. */
  reload(): Promise<void>;
}

/** A PHP application beside the API: its scripts run by php-fpm, its files sent by us. */
export function createPhp(options: PhpOptions): Php {
  const { mode, openFile, clock, log } = options;
  const root = toAbsolute(options.root);
  const mount = options.mount === '/' ? '' : options.mount.replace(/\/+$/, '');
  const script = options.script ?? (mode === 'files' ? null : 'index.php');
  const poolMetrics = createPoolMetrics(options.metrics, log);
  const pool = options.createPool(poolMetrics.observer);
  if (pool) poolMetrics.observe(() => pool.load);

  const resolve = createResolver({
    root,
    mode,
    script: script === null ? null : script.split('/').filter((name) => name !== ''),
    follow: options.follow.map((folder) => (isAbsolute(folder) ? folder : toAbsolute(root, folder))),
    rules: createPhpRules(options.deny),
    openFile,
    clock,
  });
  const runScript = createScriptRunner({
    pool,
    takeBody: createBodyTaker({
      maxBytes: options.maxBodyBytes,
      spoolDir: options.spoolDir,
      freeBytes: async () => {
        const { bavail, bsize } = await statfs(options.spoolDir);
        return bavail * bsize;
      },
    }),
    toEnvironment: createEnvironment({
      mount,
      version: options.version,
      host: options.host,
      publish: options.publish,
      sessionCookie: options.sessionCookie,
    }),
    sendFile: createSendfile({
      root: options.sendfileRoot === undefined ? null : toAbsolute(options.sendfileRoot),
      openFile,
      log,
    }),
    onErrors: createScriptErrors(log, options.metrics, clock),
    log,
  });
  const throughCache = createCached({ cache: options.cache, ruleFor: options.ruleFor });

  return {
    name: 'php',
    fallbacks: [createPhpHandler({ mount, resolve, runScript, throughCache })],
    isWholeSite: mount === '',
    origin: createPhpOrigin({
      mount,
      resolve,
      runScript,
      ruleFor: options.ruleFor,
      before: () => (mount === '' ? options.before() : []),
    }),
    checks: [
      {
        name: 'php',
        isVital: false,
        run: async () => pool?.ping() ?? { status: 'off', detail: 'there is no php-fpm on this machine' },
      },
    ],
    // Without a document root there is nothing to run yet; the first script starts it.
    start: async () => {
      if (pool && (await realPathOf(root)) !== null) pool.start();
    },
    reload: async () => pool?.reload(),
    stop: () => pool?.stop(),
  };
}
