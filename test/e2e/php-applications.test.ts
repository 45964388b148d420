import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { choosePhpOwner } from '../../src/drivers/php-fpm-owner.ts';
import { createScriptFolder, PHP_FPM } from '../support/php-fpm.ts';
import { startServer } from '../support/server.ts';

/** Where Debian's packages put the applications. */
const DOKUWIKI = '/usr/share/dokuwiki';
const ADMINER = '/usr/share/adminer';
const PHPSYSINFO = '/usr/share/phpsysinfo';
const PASSWORD = 'correct horse battery';

/** Gives a tree to the account that scripts run as. */
async function handOver(folder: string): Promise<void> {
  const owner = choosePhpOwner('/');
  if (!owner) return;
  await chown(folder, owner.uid, owner.gid);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
}

/** A browser as far as applications notice: it keeps cookies and follows redirects. */
function createBrowser(origin: string) {
  const cookies = new Map<string, string>();
  const visit = async (path: string, init: RequestInit = {}): Promise<Response & { readonly page: string }> => {
    const headers = new Headers(init.headers);
    headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '));
    const response = await fetch(new URL(path, origin), { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      if (value === 'deleted' || /max-age=0/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location && response.status < 400) return visit(new URL(location, new URL(path, origin)).href);
    return Object.assign(response, { page: await response.clone().text() });
  };
  return {
    cookies,
    visit,
    submit: (path: string, fields: Record<string, string>) =>
      visit(path, { method: 'POST', body: new URLSearchParams(fields) }),
  };
}

/** The value of a hidden field. */
function fieldOf(page: string, name: string): string {
  const input = new RegExp(`<input[^>]*name="${name}"[^>]*>`).exec(page)?.[0] ?? '';
  return /value="([^"]*)"/.exec(input)?.[1] ?? '';
}

describe.if(PHP_FPM !== null && existsSync(DOKUWIKI))('DokuWiki', () => {
  test('signs in, keeps a page and a picture, and shows both', async () => {
    await using folder = await createScriptFolder({});
    const wiki = join(folder.path, 'wiki');
    // A copy, so that what the machine has of it stays as it is.
    for (const [from, to] of [
      [DOKUWIKI, wiki],
      ['/etc/dokuwiki/.', join(wiki, 'conf')],
      ['/var/lib/dokuwiki/data', join(wiki, 'data')],
    ]) {
      Bun.spawnSync(['cp', '-rL', from as string, to as string]);
    }
    const conf = join(wiki, 'conf');
    await writeFile(
      join(conf, 'local.php'),
      `<?php $conf["title"] = "Test"; $conf["useacl"] = 1; $conf["superuser"] = "@admin"; $conf["userewrite"] = 2; $conf["savedir"] = "${wiki}/data";`,
    );
    const hash = await Bun.password.hash(PASSWORD, { algorithm: 'bcrypt', cost: 4 });
    Bun.spawnSync(['rm', '-f', join(conf, 'users.auth.php'), join(conf, 'acl.auth.php')]);
    await writeFile(
      join(conf, 'users.auth.php'),
      `admin:${hash.replace('$2b$', '$2y$')}:Ada:ada@example.org:admin,user\n`,
    );
    await writeFile(join(conf, 'acl.auth.php'), '*\t@ALL\t1\n*\t@user\t8\n');
    await writeFile(
      join(wiki, 'inc/preload.php'),
      `<?php define('DOKU_CONF', '${conf}/'); define('DOKU_MAIN_CONF', '${conf}/');`,
    );
    await handOver(wiki);

    await using server = await startServer({ env: { PHP_ROOT: wiki, PHP_MOUNT: '/wiki' } });
    const browser = createBrowser(server.url);
    const start = await browser.visit('/wiki/');
    expect(start.status).toBe(200);
    expect(start.page).toContain('DokuWiki');

    const login = await browser.visit('/wiki/doku.php?id=start&do=login');
    const signedIn = await browser.submit('/wiki/doku.php?id=start&do=login', {
      sectok: fieldOf(login.page, 'sectok'),
      id: 'start',
      do: 'login',
      u: 'admin',
      p: PASSWORD,
    });
    expect(signedIn.page).toContain('Ada');

    const path = '/wiki/doku.php/garden:roses';
    const edit = await browser.visit(`${path}?do=edit`);
    const sectok = fieldOf(edit.page, 'sectok');
    const saved = await browser.submit(path, {
      sectok,
      id: 'garden:roses',
      rev: '0',
      date: fieldOf(edit.page, 'date'),
      prefix: '.',
      suffix: '',
      changecheck: fieldOf(edit.page, 'changecheck'),
      target: 'section',
      wikitext: '====== Roses ======\n\nThey grow in the **garden**: größer.',
      summary: 'first',
      'do[save]': 'Save',
    });
    expect(saved.status).toBe(200);
    const shown = await browser.visit(path);
    expect(shown.page).toContain('They grow in the <strong>garden</strong>: größer.');

    // The smallest PNG there is.
    const picture = Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
      'base64',
    );
    const form = new FormData();
    for (const [name, value] of Object.entries({ call: 'mediaupload', ns: 'garden', sectok, qqfile: 'rose.png' }))
      form.set(name, value);
    form.set('qqfile', new File([picture], 'rose.png', { type: 'image/png' }));
    const uploaded = await browser.visit('/wiki/lib/exe/ajax.php?call=mediaupload', { method: 'POST', body: form });
    expect(JSON.parse(uploaded.page)).toMatchObject({ success: true });
    const fetched = await browser.visit('/wiki/lib/exe/fetch.php/garden:rose.png?cache=nocache');
    expect(fetched.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await fetched.arrayBuffer()).equals(picture)).toBe(true);

    for (const hidden of [
      'data/pages/garden/roses.txt',
      'conf/users.auth.php',
      'conf/local.php',
      'inc/init.php',
      '.htaccess',
      'bin/gittool.php',
    ]) {
      expect((await browser.visit(`/wiki/${hidden}`)).status).toBe(404);
    }
    const image = await browser.visit('/wiki/lib/images/throbber.gif');
    expect([image.status, image.headers.get('content-type'), image.headers.has('etag')]).toEqual([
      200,
      'image/gif',
      true,
    ]);
    expect(await server.stop()).toBe(0);
  });
});

describe.if(PHP_FPM !== null && existsSync(ADMINER))('Adminer', () => {
  test('signs in to an SQLite file, and shows and changes its rows', async () => {
    await using folder = await createScriptFolder({
      // Adminer wants a password; SQLite knows none, so its own extension point lets us in.
      'index.php': `<?php function adminer_object() { class Open extends Adminer { function login($l, $p) { return true; } } return new Open; } include "${ADMINER}/adminer.php";`,
    });
    const data = join(folder.path, 'data');
    await mkdir(data);
    const file = join(data, 'shop.db');
    const database = new Database(file);
    database.run('CREATE TABLE flower (id INTEGER PRIMARY KEY, name TEXT)');
    database.run("INSERT INTO flower (name) VALUES ('rose'), ('tulip')");
    database.close();
    await handOver(folder.path);
    await chmod(data, 0o777);

    await using server = await startServer({
      env: { PHP_ROOT: folder.path, PHP_MOUNT: '/db', PHP_MODE: 'single-script', PHP_SCRIPT: 'index.php' },
    });
    const browser = createBrowser(server.url);
    expect((await browser.visit('/db/')).page).toContain('Login - Adminer');
    const query = `sqlite=&username=&db=${encodeURIComponent(file)}`;
    const signedIn = await browser.submit('/db/', {
      'auth[driver]': 'sqlite',
      'auth[server]': '',
      'auth[username]': '',
      'auth[password]': '',
      'auth[db]': file,
    });
    expect(signedIn.page).toContain('flower');
    expect(browser.cookies.size).toBeGreaterThanOrEqual(2);
    expect((await browser.visit(`/db/?${query}&select=flower`)).page).toContain('tulip');
    const command = await browser.visit(`/db/?${query}&sql=`);
    const run = await browser.submit(`/db/?${query}&sql=`, {
      query: "INSERT INTO flower (name) VALUES ('lily')",
      token: fieldOf(command.page, 'token'),
    });
    expect(run.page).toContain('1 row affected');
    expect(new Database(file, { readonly: true }).query('SELECT name FROM flower WHERE id = 3').get()).toEqual({
      name: 'lily',
    });
    expect(await server.stop()).toBe(0);
  });
});

describe.if(PHP_FPM !== null && existsSync(PHPSYSINFO))('phpSysInfo', () => {
  test('tells of the machine as XML and as JSON, and has its pictures sent by us', async () => {
    await using server = await startServer({
      env: { PHP_ROOT: PHPSYSINFO, PHP_MOUNT: '/status', PHP_FOLLOW: '/etc/phpsysinfo,/usr/share/javascript' },
    });
    const browser = createBrowser(server.url);
    const xml = await browser.visit('/status/xml.php?plugin=complete');
    expect(xml.headers.get('content-type')).toContain('xml');
    expect(xml.page).toContain('<tns:phpsysinfo');
    const json = await browser.visit('/status/xml.php?plugin=complete&json');
    expect(json.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(json.page)).toHaveProperty('Vitals');
    const sent = await browser.visit('/status/gfx/images/Debian.png');
    expect([sent.status, sent.headers.get('content-type'), sent.headers.has('etag')]).toEqual([200, 'image/png', true]);
    expect((await browser.visit('/status/data/cpus.ini')).status).toBe(404);
    expect(await server.stop()).toBe(0);
  });
});
