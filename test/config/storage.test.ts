import { expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { storageLocation } from '../../src/storage.ts';

test.each([
  [{}, { kind: 'disk', root: resolve('data/objects') }],
  [{ DATA_DIR: '/var/house' }, { kind: 'disk', root: '/var/house/objects' }],
  [{ STORAGE_URL: 'file:bytes' }, { kind: 'disk', root: resolve('bytes') }],
  [{ STORAGE_URL: 'file:///var/bytes' }, { kind: 'disk', root: '/var/bytes' }],
  [{ STORAGE_URL: 's3://photos' }, { kind: 's3', bucket: 'photos', prefix: '' }],
  [{ STORAGE_URL: 's3://photos/house/one/' }, { kind: 's3', bucket: 'photos', prefix: 'house/one' }],
  [{ BUCKET_NAME: 'photos' }, { kind: 's3', bucket: 'photos', prefix: '' }],
  [
    { BUCKET_NAME: 'photos', STORAGE_URL: 'file:bytes' },
    { kind: 'disk', root: resolve('bytes') },
  ],
])('%j puts files at %j', (env, location) => {
  expect(storageLocation(loadConfig(env))).toEqual(location as ReturnType<typeof storageLocation>);
});
