import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadOrCreateSecret } from '../../src/drivers/secret-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-secret-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the secret of an installation', () => {
  test('is made once, long, and readable by its owner only', () => {
    const dataDir = join(folder, 'new', 'data');
    const secret = loadOrCreateSecret(dataDir);
    expect(secret).toMatch(/^[\w-]{64}$/);
    expect(loadOrCreateSecret(dataDir)).toBe(secret);
    expect(readFileSync(join(dataDir, 'secret'), 'utf8').trim()).toBe(secret);
    expect(statSync(join(dataDir, 'secret')).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir).mode & 0o077).toBe(0);
    expect(readdirSync(dataDir)).toEqual(['secret']);
  });

  test('of two installations are different', () => {
    expect(loadOrCreateSecret(join(folder, 'a'))).not.toBe(loadOrCreateSecret(join(folder, 'b')));
  });

  test('that was put there is taken, without the line break an editor adds', () => {
    writeFileSync(join(folder, 'secret'), `${'s'.repeat(40)}\n`);
    expect(loadOrCreateSecret(folder)).toBe('s'.repeat(40));
  });

  test('processes that start at once end up with the same one, and leave nothing else', async () => {
    const script = `import { loadOrCreateSecret } from ${JSON.stringify(join(import.meta.dirname, '../../src/drivers/secret-file.ts'))};
      process.stdout.write(loadOrCreateSecret(process.argv[1]));`;
    const dataDir = join(folder, 'data');
    const children = Array.from({ length: 6 }, () =>
      Bun.spawn([process.execPath, '-e', script, dataDir], { stdout: 'pipe', stderr: 'pipe' }),
    );
    const secrets = await Promise.all(children.map((child) => new Response(child.stdout).text()));
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]).toMatch(/^[\w-]{64}$/);
    expect(readdirSync(dataDir)).toEqual(['secret']);
  });

  test('that cannot be written is a failure, not a silent other one', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => loadOrCreateSecret(join(folder, 'file'))).toThrow();
  });
});
