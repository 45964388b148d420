import { describe, expect, test } from 'bun:test';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressor } from '../../../src/drivers/zstd-compressor.ts';
import { generateIdentity, recipientOf } from '../../../src/modules/backups/age.ts';
import { openRepository } from '../../../src/modules/backups/repository.ts';
import type { KeySettings } from '../../../src/modules/backups/repository-keys.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import { sha256Of } from './support.ts';
import { openSystem } from './system.ts';

/** The commands of the guide, in their order. */
const page = await readFile(join(import.meta.dirname, '../../../docs/backup-repository.md'), 'utf8');
const [TAKE_OUT = '', FILES = '', IDENTITY = ''] = page
  .slice(page.indexOf('## By hand'))
  .matchAll(/```sh\n(.*?)```/gs)
  .map(([, script = '']) => script)
  .toArray();

const hasTools = ['age', 'zstd', 'sqlite3', 'script'].every((program) => Bun.which(program) !== null);
const PASSPHRASE = 'a passphrase of some length';

const run = (script: string, env: Record<string, string>, cwd: string, input = '') => {
  const options = { env: { ...process.env, ...env }, cwd, stdin: Buffer.from(input) };
  const { exitCode, stdout, stderr } = Bun.spawnSync(['sh', '-euc', script], options);
  if (exitCode !== 0) throw new Error(`${stdout}${stderr}`);
  return stdout.toString();
};

const identity = await generateIdentity();
const modes: Record<string, KeySettings> = {
  'that is not encrypted': {},
  'that is encrypted to a recipient': { recipient: await recipientOf(identity), identity },
  'that is encrypted with a passphrase': { passphrase: PASSPHRASE },
};

describe.skipIf(!hasTools)('a backup without this program, by the commands of the guide', () => {
  test.each(Object.entries(modes))('%s comes back whole', async (_, keys) => {
    await using system = await openSystem();
    const holder = { host: 'test', pid: 1 };
    const repository = await openRepository({
      store: system.store,
      compress: zstdCompressor,
      clock: systemClock,
      holder,
      keys,
    });
    await system.addFile(system.people.alice, 'an older content');
    await system.create({}, { repository });
    const large = Buffer.alloc(3_000_000, 'content ');
    const contents = ['of alice', large, ''];
    for (const content of contents) await system.addFile(system.people.bob, content);
    await system.create({}, { repository });

    const [root, out] = [join(system.root, 'repository'), join(system.root, 'out')];
    const identityFile = join(system.root, 'identity.txt');
    await mkdir(out);
    if (keys.passphrase) {
      // It asks on the terminal, so it is given one.
      const ask = `printf '%s\\n' '${PASSPHRASE}' | script -qec '${IDENTITY.trim()}' /dev/null`;
      run(ask, {}, root);
      run('mv identity.txt "$IDENTITY"', { IDENTITY: identityFile }, root);
    } else await writeFile(identityFile, `${identity}\n`);

    const env = { REPOSITORY: root, OUT: out, IDENTITY: identityFile };
    expect(run(TAKE_OUT, env, system.root)).toBe('ok\n');
    const rows = run(FILES, env, system.root).trim().split('\n');
    expect(rows.length).toBe(4);
    for (const row of rows) {
      const sha256 = row.split('|').at(-1) as string;
      expect(sha256Of(await readFile(join(out, 'files', sha256)))).toBe(sha256);
    }
    expect((await readFile(join(out, 'files', sha256Of(large)))).equals(large)).toBe(true);
    expect(JSON.parse(await readFile(join(out, 'sealed.json'), 'utf8'))).toEqual({
      secret: 'a secret of the installation',
    });
  });
});
