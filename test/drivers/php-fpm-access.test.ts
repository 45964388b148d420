import { expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBarrier } from '../../src/drivers/php-fpm-access.ts';

const SOMEBODY = { uid: 54_321, gid: 54_321 };

test('what keeps an account from a file is found, outermost first', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-barrier-'));
  const [outer, inner] = [join(folder, 'outer'), join(folder, 'outer/inner')];
  const file = join(inner, 'x.php');
  await mkdir(inner, { recursive: true });
  await writeFile(file, '');
  await chmod(folder, 0o755);
  await chmod(outer, 0o710);
  await chmod(inner, 0o700);
  await chmod(file, 0o600);
  expect(findBarrier(file, SOMEBODY)).toEqual({ path: outer, lacks: 'x' });
  await chmod(outer, 0o711);
  expect(findBarrier(file, SOMEBODY)).toEqual({ path: inner, lacks: 'x' });
  expect(findBarrier(inner, SOMEBODY)).toEqual({ path: inner, lacks: 'rx' });
  await chmod(inner, 0o711);
  expect(findBarrier(file, SOMEBODY)).toEqual({ path: file, lacks: 'r' });
  await chmod(file, 0o644);
  expect(findBarrier(file, SOMEBODY)).toBeNull();
  expect(findBarrier(join(inner, 'missing.php'), SOMEBODY)).toBeNull();
  await rm(folder, { recursive: true });
});
