import { rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../ports/logger.ts';
import { CONTROL_SECONDS, type PhpFpmConfig, phpFpmConfig } from './php-fpm-config.ts';
import { followPhpFpmLog, type PhpFpmLogEvents } from './php-fpm-log.ts';
import { killGroup, notePhpFpm } from './php-fpm-orphans.ts';
import { pingPhpFpm } from './php-fpm-status.ts';

/** One running php-fpm with its children. */
export interface PhpFpmProcess {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason, and none of its children is left. */
  readonly exited: Promise<void>;
  /** Asks it to replace its children and read its configuration again; `onReady` tells when it has. */
  reload(): void;
  /** Ends it: children may finish what they do for a moment, then it is killed. Idempotent. */
  stop(): Promise<void>;
}

export interface PhpFpmProcessOptions {
  readonly binary: string;
  readonly config: PhpFpmConfig;
  /** Where it is noted who has started what. */
  readonly notesDir: string;
  readonly log: Logger;
  readonly events: PhpFpmLogEvents;
}

const READY_MS = 10_000;
const POLL_MS = 20;
const QUIT_MS = 3_000;
const TERM_MS = 1_000;

/** Checks the configuration, starts php-fpm and waits until it answers. Rejects with what it said when it does not. */
export async function startPhpFpm(options: PhpFpmProcessOptions): Promise<PhpFpmProcess> {
  const { binary, config, log } = options;
  const configFile = join(config.runDir, 'php-fpm.conf');
  await writeFile(configFile, phpFpmConfig(config), { mode: 0o600 });
  for (const socket of [config.socket, config.statusSocket]) rmSync(socket, { force: true });
  await checkConfig(binary, configFile);

  const child = Bun.spawn([binary, '-F', '-O', '-y', configFile], {
    cwd: config.runDir,
    env: environment(),
    // A group of its own: Ctrl-C is for us, and all its children can be ended together.
    detached: true,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const forget = notePhpFpm(options.notesDir, child.pid, config.runDir);
  followPhpFpmLog(child.stderr, log, options.events).catch((error: unknown) =>
    log.warn({ err: error }, 'the log of php-fpm cannot be read'),
  );
  let hasExited = false;
  const exited = child.exited.then(() => {
    hasExited = true;
    // Children outlive a master that was killed.
    killGroup(child.pid);
    forget();
  });
  const within = (ms: number) => Promise.race([exited, new Promise<void>((resolve) => setTimeout(resolve, ms))]);
  const signal = (name: NodeJS.Signals) => {
    if (!hasExited) child.kill(name);
  };
  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= (async () => {
      signal('SIGQUIT');
      await within(QUIT_MS);
      signal('SIGTERM');
      if (!hasExited) await within(TERM_MS);
      if (!hasExited) killGroup(child.pid);
      await exited;
    })();
    return stopping;
  };

  const deadline = performance.now() + READY_MS;
  while (!(await pingPhpFpm({ unix: config.statusSocket }))) {
    if (hasExited || performance.now() > deadline) {
      await stop();
      throw new Error(hasExited ? 'php-fpm ended at its start' : 'php-fpm did not answer in time');
    }
    await Bun.sleep(POLL_MS);
  }
  return { pid: child.pid, exited, reload: () => signal('SIGUSR2'), stop };
}

/** Longest that a reload may take: running scripts first, then new children. */
export const RELOAD_MS = CONTROL_SECONDS * 1_000 + READY_MS;

async function checkConfig(binary: string, configFile: string): Promise<void> {
  const check = Bun.spawn([binary, '-t', '-y', configFile], {
    env: environment(),
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const [said, code] = await Promise.all([new Response(check.stderr).text(), check.exited]);
  if (code !== 0) throw new Error(`php-fpm does not take its configuration: ${said.trim().slice(0, 2_000)}`);
}

/** What php-fpm gets of our environment: nothing that could be a secret. */
function environment(): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', TZ, LANG, TMPDIR, PHP_INI_SCAN_DIR, PHPRC } = process.env;
  const wanted = { PATH, TZ, LANG, TMPDIR, PHP_INI_SCAN_DIR, PHPRC };
  return Object.fromEntries(
    Object.entries(wanted).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
