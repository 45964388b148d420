import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openStaticFile } from '../../../src/drivers/static-files.ts';
import { createResolver, type PhpMode, type Target } from '../../../src/modules/php/resolve.ts';
import { createPhpRules } from '../../../src/modules/php/rules.ts';
import { decodePhpPath, type PhpPath } from '../../../src/modules/php/url-path.ts';
import { fakeClock } from '../../support/fakes.ts';

const FILES = [
  'index.php',
  'about.php',
  'app.css',
  'admin/index.php',
  'page/index.html',
  'bare/file.txt',
  'conf/settings.php',
  'conf/settings.txt',
  'uploads/photo.jpg',
  'uploads/evil.php',
  'shell.phtml',
  'settings.php.bak',
  '.env',
  'folder.php/inner.php',
];

let folder: string;
let root: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bunkhouse-resolve-'));
  root = join(folder, 'site');
  for (const file of FILES) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), '<?php');
  }
  await mkdir(join(folder, 'elsewhere'));
  await mkdir(join(folder, 'site-next-door'));
  await writeFile(join(folder, 'elsewhere/linked.php'), '<?php');
  await writeFile(join(folder, 'site-next-door/x.php'), '<?php');
  await symlink(join(folder, 'elsewhere'), join(root, 'link'));
  await symlink(join(folder, 'site-next-door/x.php'), join(root, 'neighbour.php'));
  await symlink('about.php', join(root, 'alias.php'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function resolver(
  mode: PhpMode,
  { script = null as string | null, follow = [] as string[], clock = fakeClock() } = {},
) {
  return createResolver({
    root,
    mode,
    script: script === null ? null : [script],
    follow,
    rules: createPhpRules(['conf']),
    openFile: openStaticFile,
    clock,
  });
}

/** `script NAME PATH_INFO`, `file NAME`, or the kind alone. */
function describeTarget(target: Target): string {
  if (target.kind === 'script') return `script ${target.names.join('/')} ${target.pathInfo}`.trim();
  return target.kind === 'file' ? `file ${target.name}` : target.kind;
}

async function find(resolve: ReturnType<typeof resolver>, path: string): Promise<string> {
  const decoded = decodePhpPath(path);
  return decoded ? describeTarget(await resolve(decoded)) : 'refused';
}

describe('mode files', () => {
  const cases: [string, string][] = [
    ['/', 'script index.php'],
    ['/about.php', 'script about.php'],
    ['/about.php/a/b', 'script about.php /a/b'],
    ['/about.php/', 'script about.php /'],
    ['/app.css', 'file app.css'],
    ['/app.css/x.php', 'missing'],
    ['/admin', 'directory'],
    ['/admin/', 'script admin/index.php'],
    ['/page', 'directory'],
    ['/page/', 'file index.html'],
    ['/bare/', 'missing'],
    ['/bare', 'missing'],
    ['/nothing', 'missing'],
    ['/nothing.php', 'missing'],
    ['/folder.php/inner.php/x', 'script folder.php/inner.php /x'],
    ['/conf/settings.php', 'missing'],
    ['/conf/settings.txt', 'missing'],
    ['/conf/settings.php/x', 'missing'],
    ['/uploads/photo.jpg', 'file photo.jpg'],
    ['/uploads/photo.jpg/x.php', 'missing'],
    ['/uploads/evil.php', 'missing'],
    ['/uploads/evil.php/x', 'missing'],
    ['/shell.phtml', 'missing'],
    ['/settings.php.bak', 'missing'],
    ['/about.PHP', 'missing'],
    ['/.env', 'missing'],
    ['/link/linked.php', 'missing'],
    ['/neighbour.php', 'missing'],
    ['/alias.php', 'script alias.php'],
    ['/%2e%2e/site-next-door/x.php', 'refused'],
  ];
  test.each(cases)('%s is: %s', async (path, expected) => expect(await find(resolver('files'), path)).toBe(expected));

  test('with a script for the rest gives it what is nothing on disk, and nothing that is hidden', async () => {
    const resolve = resolver('files', { script: 'index.php' });
    expect(await find(resolve, '/2026/11/hello')).toBe('script index.php');
    expect(await find(resolve, '/about.php')).toBe('script about.php');
    expect(await find(resolve, '/bare/')).toBe('script index.php');
    expect(await find(resolve, '/.env')).toBe('missing');
    expect(await find(resolve, '/conf/settings.txt')).toBe('missing');
    expect(await find(resolve, '/uploads/evil.php')).toBe('missing');
  });

  test('follows links to the folders that it was told of, and to no others', async () => {
    const resolve = resolver('files', { follow: [join(folder, 'elsewhere')] });
    expect(await find(resolve, '/link/linked.php')).toBe('script link/linked.php');
    expect(await find(resolve, '/neighbour.php')).toBe('missing');
  });

  test('sees a new script at once, and believes in a known one for a second', async () => {
    const clock = fakeClock();
    const resolve = resolver('files', { clock });
    const file = join(root, 'new.php');
    expect(await find(resolve, '/new.php')).toBe('missing');
    await writeFile(file, '<?php');
    expect(await find(resolve, '/new.php')).toBe('script new.php');
    await rm(file);
    expect(await find(resolve, '/new.php')).toBe('script new.php');
    clock.turn(1_000);
    expect(await find(resolve, '/new.php')).toBe('missing');
  });
});

describe('mode front-controller', () => {
  const cases: [string, string][] = [
    ['/', 'script index.php'],
    ['/users/1', 'script index.php'],
    ['/admin/', 'script index.php'],
    ['/index.php', 'script index.php'],
    ['/index.php/users/1', 'script index.php /users/1'],
    ['/app.css', 'file app.css'],
    ['/about.php', 'missing'],
    ['/old/page.php', 'script index.php'],
    ['/conf/settings.txt', 'missing'],
    ['/.env', 'missing'],
    ['/data/not-on-disk', 'script index.php'],
  ];
  test.each(cases)('%s is: %s', async (path, expected) =>
    expect(await find(resolver('front-controller', { script: 'index.php' }), path)).toBe(expected),
  );
});

describe('mode single-script', () => {
  const cases: [string, string][] = [
    ['/', 'script about.php /'],
    ['', 'script about.php'],
    ['/x/y', 'script about.php /x/y'],
    ['/about.php', 'script about.php'],
    ['/about.php/x', 'script about.php /x'],
    ['/app.css', 'script about.php /app.css'],
    ['/index.php', 'script about.php /index.php'],
  ];
  test.each(cases)('%p is: %s', async (path, expected) =>
    expect(await find(resolver('single-script', { script: 'about.php' }), path)).toBe(expected),
  );

  test('has nothing to run when the script is not there', async () => {
    expect(await find(resolver('single-script', { script: 'gone.php' }), '/')).toBe('missing');
  });
});

describe('a site that is deployed by changing a link', () => {
  test('is looked for again after a second, and its script with it', async () => {
    const clock = fakeClock();
    const current = join(folder, 'current');
    for (const release of ['one', 'two']) {
      await mkdir(join(folder, release));
      await writeFile(join(folder, release, 'index.php'), '<?php');
    }
    await symlink(join(folder, 'one'), current);
    const resolve = createResolver({
      root: current,
      mode: 'front-controller',
      script: ['index.php'],
      follow: [],
      rules: createPhpRules([]),
      openFile: openStaticFile,
      clock,
    });
    const rootOf = async (path: string) => {
      const target = await resolve(decodePhpPath(path) as PhpPath);
      return target.kind === 'script' ? target.root : target.kind;
    };
    expect(await rootOf('/a')).toBe(join(folder, 'one'));
    await rm(current);
    await symlink(join(folder, 'two'), current);
    clock.turn(1_001);
    expect(await rootOf('/b')).toBe(join(folder, 'two'));
    await rm(join(folder, 'two', 'index.php'));
    // Believed to be there still, as it was a moment ago.
    expect(await rootOf('/c')).toBe(join(folder, 'two'));
    clock.turn(1_001);
    expect(await rootOf('/d')).toBe('missing');
    await writeFile(join(folder, 'two', 'index.php'), '<?php');
    expect(await rootOf('/d')).toBe(join(folder, 'two'));
  });
});
