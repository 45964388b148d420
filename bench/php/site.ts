import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { choosePhpOwner } from '../../src/drivers/php-fpm-owner.ts';

/** About 780 bytes of a page, as small scripts give. */
const HELLO = `<?php header('Content-Type: text/html; charset=UTF-8');
echo '<!doctype html><title>Hello</title><p>Hello ', htmlspecialchars($_GET['name'] ?? 'world'), '</p><pre>', str_repeat('0123456789abcdef ', 42), '</pre>';
`;

/** Visitors without a cookie get no session, and pages that a cache may keep for a minute. */
const PRELOAD = (conf: string) => `<?php
defined('DOKU_CONF') || define('DOKU_CONF', '${conf}/');
defined('DOKU_MAIN_CONF') || define('DOKU_MAIN_CONF', '${conf}/');
if (empty($_COOKIE) && $_SERVER['REQUEST_METHOD'] === 'GET') {
    defined('NOSESSION') || define('NOSESSION', true);
    header_register_callback(function () {
        header_remove('Set-Cookie');
        header_remove('Expires');
        header_remove('Pragma');
        header('Vary: Accept-Encoding');
        header('Cache-Control: public, max-age=60');
    });
}
`;

/** A document root with a small script and a copy of Debian's DokuWiki, readable for the account of the scripts. */
export async function createSite(folder: string): Promise<string> {
  const root = join(folder, 'www', 'php');
  const wiki = join(root, 'wiki');
  mkdirSync(root, { recursive: true });
  // The folder of a run is private; scripts run as somebody else.
  for (const path of [folder, join(folder, 'www'), root]) chmodSync(path, 0o755);
  writeFileSync(join(root, 'hello.php'), HELLO);
  await copy('/usr/share/dokuwiki', wiki);
  await copy('/etc/dokuwiki/.', join(wiki, 'conf'));
  await copy('/var/lib/dokuwiki/data', join(wiki, 'data'));
  writeFileSync(join(wiki, 'conf/local.php'), `<?php $conf['savedir'] = '${wiki}/data'; $conf['userewrite'] = 2;`);
  writeFileSync(join(wiki, 'inc/preload.php'), PRELOAD(join(wiki, 'conf')));
  const page = `====== Bench ======\n\n${'Some text with **markup**, a [[link]] and a list.\n\n  * one\n  * two\n\n'.repeat(40)}`;
  writeFileSync(join(wiki, 'data/pages/bench.txt'), page);
  const owner = choosePhpOwner('/');
  if (owner) await Bun.spawn(['chown', '-R', `${owner.uid}:${owner.gid}`, wiki]).exited;
  return root;
}

async function copy(from: string, to: string): Promise<void> {
  // Links that lead nowhere are left out; the application is whole without them.
  await Bun.spawn(['cp', '-rL', from, to], { stdout: 'ignore', stderr: 'ignore' }).exited;
}
