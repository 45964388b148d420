import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Command, CommandError } from './command.ts';

/** What some tests need beside Bun: the program, and the Debian package it comes from. */
const SERVICES = [
  { program: 'chromium', aptPackage: 'chromium' },
  { program: 'redis-server', aptPackage: 'redis-server' },
  { program: 'nginx', aptPackage: 'nginx-light' },
  { program: 'php', aptPackage: 'php-cli' },
  { program: 'php-fpm8.2', aptPackage: 'php8.2-fpm' },
  { program: 'openssl', aptPackage: 'openssl' },
  { program: 'age', aptPackage: 'age' },
  { program: 'zstd', aptPackage: 'zstd' },
  { program: 'sqlite3', aptPackage: 'sqlite3' },
  // OpenStack Swift, as a real S3 store.
  { program: 'swift-proxy-server', aptPackage: 'swift-proxy' },
  { program: 'swift-account-server', aptPackage: 'swift-account' },
  { program: 'swift-container-server', aptPackage: 'swift-container' },
  { program: 'swift-object-server', aptPackage: 'swift-object' },
] as const;

/** PHP applications that run in tests: a file of each, and its package with what it needs. */
const APPLICATIONS = [
  { file: '/usr/share/dokuwiki/doku.php', aptPackages: ['dokuwiki', 'php8.2-xml', 'php8.2-mbstring', 'php8.2-gd'] },
  { file: '/usr/share/adminer/adminer.php', aptPackages: ['adminer', 'php8.2-sqlite3'] },
  { file: '/usr/share/phpsysinfo/xml.php', aptPackages: ['phpsysinfo', 'php8.2-xml'] },
] as const;
/** They would bring a web server of their own along. */
const UNWANTED = ['apache2-', 'libapache2-mod-php8.2-'];

/** For one test, in milliseconds; those that start servers and browsers need more than the default on a busy machine. */
const TEST_TIMEOUT_MS = 30_000;
/** Test files wait for servers and disks much of the time, so one worker more than there are cores keeps all of them busy. */
const WORKERS = Math.min(availableParallelism() + 1, 8);

export const testCommand: Command = {
  summary: 'Run the tests',
  help: `Usage: bunkhouse test [arguments of "bun test"]

Runs "bun test", the files spread over several processes. Services that tests need are installed first where that is possible
(as root on Debian); elsewhere what is missing is named and the tests that need it are skipped, but never with CI=true: then a
missing service is a failure.`,
  async run(args) {
    await install(missingPrograms());
    const applications = missingApplications();
    if (applications.length > 0) await install([...applications, ...UNWANTED]);
    const stillMissing = [...missingPrograms(), ...missingApplications()];
    if (stillMissing.length > 0) {
      const message = `missing for some tests: ${stillMissing.join(', ')}`;
      if (process.env['CI'] === 'true') throw new CommandError(message);
      process.stderr.write(`bunkhouse: ${message}\n`);
    }
    const root = join(import.meta.dirname, '../..');
    const options = ['--timeout', String(TEST_TIMEOUT_MS), `--parallel=${WORKERS}`, '--no-isolate', ...args];
    const child = Bun.spawn([process.execPath, 'test', ...options], {
      cwd: root,
      stdio: ['inherit', 'inherit', 'inherit'],
    });
    return child.exited;
  },
};

function missingPrograms(): string[] {
  return SERVICES.filter(({ program }) => Bun.which(program) === null).map(({ aptPackage }) => aptPackage);
}

function missingApplications(): string[] {
  return APPLICATIONS.filter(({ file }) => !existsSync(file)).flatMap(({ aptPackages }) => aptPackages);
}

async function install(packages: readonly string[]): Promise<void> {
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  process.stderr.write(`bunkhouse: installing ${packages.join(', ')}\n`);
  const apt = async (...args: string[]) =>
    Bun.spawn(['apt-get', '-q', '-y', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    }).exited;
  await apt('update');
  await apt('install', '--no-install-recommends', ...packages);
}
