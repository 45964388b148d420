import { describe, expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { backupLocation, findBackupRisk, openRepositoryStore } from '../../src/backup-repository.ts';
import { loadConfig } from '../../src/config/load.ts';
import { recordingLog } from '../support/fakes.ts';

const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

test.each([
  [{}, { kind: 'disk', root: resolve('backups') }, `file:${resolve('backups')}`],
  [{ BACKUP_URL: 'file:///mnt/nas' }, { kind: 'disk', root: '/mnt/nas' }, 'file:/mnt/nas'],
  [{ BACKUP_URL: 's3://vault/house' }, { kind: 's3', bucket: 'vault', prefix: 'house' }, 's3://vault/house'],
  [{ BACKUP_URL: 's3://vault' }, { kind: 's3', bucket: 'vault', prefix: '' }, 's3://vault'],
] as const)('%j puts backups at %j', async (env, location, place) => {
  const config = loadConfig(env);
  expect(backupLocation(config)).toEqual(location);
  expect((await openRepositoryStore(location, config, recordingLog())).place).toBe(place);
});

describe('the place of the backups', () => {
  test.each([
    {},
    { BACKUP_URL: 's3://vault' },
    { BACKUP_URL: 's3://photos/backups', STORAGE_URL: 's3://photos/files' },
    { BACKUP_URL: 's3://photos/files-backups', STORAGE_URL: 's3://photos/files' },
    { BACKUP_URL: 'file:./data-backups' },
    { BACKUP_URL: 'file:/mnt/nas', STORAGE_URL: 'file:/mnt/objects', DATABASE_URL: 'file:/mnt/main.db' },
    { DATABASE_URL: ':memory:' },
  ])('is a safe one with %j', (env) => {
    expect(findBackupRisk(loadConfig(env))).toBeNull();
  });

  test.each([
    { BACKUP_URL: 'file:./data/backups' },
    { BACKUP_URL: 'file:./data' },
    { BACKUP_URL: 'file:.' },
    { BACKUP_URL: 'file:/mnt/objects/backups', STORAGE_URL: 'file:/mnt/objects' },
    { BACKUP_URL: 'file:/mnt', DATABASE_URL: 'file:/mnt/main.db' },
    { BACKUP_URL: 's3://photos', STORAGE_URL: 's3://photos' },
    { BACKUP_URL: 's3://photos/backups', BUCKET_NAME: 'photos' },
    { BACKUP_URL: 's3://photos/files/backups', STORAGE_URL: 's3://photos/files' },
    { BACKUP_URL: 's3://photos', STORAGE_URL: 's3://photos/files' },
  ])('is not with %j', (env) => {
    expect(findBackupRisk(loadConfig(env))).toContain('BACKUP_URL');
  });
});

test('the rule of what is kept', () => {
  const none = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  expect(loadConfig({}).backupKeep).toEqual({ ...none, last: 3, daily: 7, weekly: 4, monthly: 6 });
  expect(loadConfig({ BACKUP_KEEP: ' hourly=24 , yearly=2 ' }).backupKeep).toEqual({ ...none, hourly: 24, yearly: 2 });
});

describe('settings that cannot be', () => {
  test.each([
    { BACKUP_KEEP: 'daily' },
    { BACKUP_KEEP: 'daily=-1' },
    { BACKUP_KEEP: 'daily=7,daily=3' },
    { BACKUP_KEEP: 'fortnightly=2' },
    { BACKUP_KEEP: 'daily=7,' },
    { BACKUP_KEEP: 'daily=1.5' },
    { BACKUP_KEEP: 'last=0,daily=0' },
    { BACKUP_KEEP: 'constructor=1' },
    { BACKUP_URL: '/mnt/nas' },
    { BACKUP_URL: 'ftp://nas' },
    { BACKUP_URL: 's3://vault/../x' },
    { BACKUP_PASSPHRASE: 'short' },
    { BACKUP_RECIPIENT: 'age1' },
    { BACKUP_RECIPIENT: RECIPIENT.replace('q', 'p') },
    { BACKUP_RECIPIENT: RECIPIENT.toUpperCase() },
    { BACKUP_RECIPIENT: `${RECIPIENT},${RECIPIENT}` },
    { BACKUP_RECIPIENT: `AGE-SECRET-KEY-1${'Q'.repeat(58)}` },
    { BACKUP_RECIPIENT: RECIPIENT, BACKUP_PASSPHRASE: 'a good passphrase' },
  ])('%j', (env) => {
    expect(() => loadConfig(env)).toThrow(Object.keys(env)[0] as string);
  });

  test('are not repeated when they are secret', () => {
    const BACKUP_RECIPIENT = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`;
    expect(() => loadConfig({ BACKUP_PASSPHRASE: 'hushhus', BACKUP_RECIPIENT })).toThrow(/^(?!.*(hushhus|QQQ))/s);
  });

  test('do not include a recipient that age made', () => {
    expect(loadConfig({ BACKUP_RECIPIENT: RECIPIENT }).backupRecipient).toBe(RECIPIENT);
  });
});
