import { expect, test } from 'bun:test';
import { join } from 'node:path';

const INTAKE = join(import.meta.dir, '../../../src/modules/uploads/intake.ts');

/** In a process of its own, since a module that fails to load does so for all tests. */
const PROGRAM = `
  Bun.plugin({
    name: 'broken',
    setup: (build) => void build.module('file-type', () => { throw new Error('cannot be loaded'); }),
  });
  const { createIntake } = await import(${JSON.stringify(INTAKE)});
  const stored = [];
  const store = {
    async put(key, body) {
      for await (const _ of body);
      stored.push(key);
      return { key, size: 1, sha256: '' };
    },
  };
  const body = async function* () { yield new Uint8Array(1); };
  const limits = { maxFileBytes: 0, userQuotaBytes: 0, userMaxFiles: 0, types: [] };
  const fault = await createIntake(store, limits)('id', body(), 100).then(() => null, () => 'failed');
  console.log(JSON.stringify({ fault, stored: stored.length }));
`;

test('when types of content cannot be told, nothing is stored', async () => {
  const child = Bun.spawn([process.execPath, '-e', PROGRAM], { stdout: 'pipe', stderr: 'inherit' });
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual({ fault: 'failed', stored: 0 });
});
