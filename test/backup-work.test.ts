import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { backupWork } from '../src/backup-work.ts';
import { loadConfig } from '../src/config/load.ts';
import { installationId } from '../src/installation-id.ts';
import { uuidv7 } from '../src/kernel/ids.ts';
import { backupStore } from '../src/modules/backups/store.ts';
import { from } from './contracts/object-store.ts';
import { leasesOf, openSystem, type TestSystem } from './modules/backups/system.ts';
import { recordingLog } from './support/fakes.ts';

const SECRET = 'a secret of thirty-two characters';
const workOf = (system: TestSystem) =>
  backupWork({
    config: loadConfig({ DATA_DIR: system.dataDir, BACKUP_URL: `file:${join(system.root, 'repository')}` }),
    secret: { value: SECRET, isGenerated: true },
    leases: leasesOf(system.database),
    log: recordingLog(),
  });

test('a list that is made again from the repository has lost nothing, and shows no other system', async () => {
  await using system = await openSystem();
  const { alice, bob } = system.people;
  const work = workOf(system);
  for (const owner of [alice, alice, bob]) await system.addFile(owner, 'the same');
  const here = { installation: installationId(SECRET) };
  const whole = await system.create({}, here);
  const elsewhere = await system.create({}, { installation: 'elsewhere' });
  const own = await system.create({ scope: 'user', userId: alice }, here);
  const archive = work.archive({ id: own.id, scope: 'user' });
  await system.objects.put('files/archive', from([await new Response(archive).bytes()]));
  const order = { id: uuidv7(), userId: bob, objectKey: 'files/archive', note: '' };
  await work.importArchive(order, { onProgress: () => undefined, signal: new AbortController().signal });

  const { backups } = await work.kept();
  const told = new Map(backups.map(({ id, fileCount, isImported }) => [id, [fileCount, isImported]]));
  expect(told).toEqual(
    new Map([
      [whole.id, [3, false]],
      [own.id, [2, false]],
      [order.id, [2, true]],
    ]),
  );
  expect(told.has(elsewhere.id)).toBe(false);
  await system.database.write((tx) => backupStore.adopt(tx, backups));
  expect(await backupStore.find(system.database.read, order.id)).toMatchObject({ fileCount: 2, isImported: true });
}, 30_000);

test('a manifest that says neither number of files nor origin is listed all the same', async () => {
  await using system = await openSystem();
  await system.addFile(system.people.alice, 'one');
  const { id } = await system.create({ scope: 'user', userId: system.people.alice });
  const { files: _, origin: __, ...old } = await system.manifest(id);
  const lease = await system.repository.lease('shared', 'a test');
  await system.repository.writeManifest(old, lease);
  await lease.release();
  const work = workOf(system);
  expect((await work.kept()).backups).toMatchObject([{ id, fileCount: 1, isImported: false }]);
});
