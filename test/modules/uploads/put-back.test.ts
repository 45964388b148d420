import { afterEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { doomedObjects } from '../../../src/db/schema/uploads.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import type { FormerFile } from '../../../src/modules/uploads/index.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';
import type { Person } from '../../support/people.ts';
import { type FileAnswer, openUploads, type UploadsOptions } from './support.ts';

let uploads: Awaited<ReturnType<typeof openUploads>>;
const open = async (options: UploadsOptions = {}) => {
  uploads = await openUploads(options);
};
afterEach(async () => {
  expect(uploads.faults).toEqual([]);
  await uploads[Symbol.asyncDispose]();
});

const former = (id: string | null, name: string, content: string): FormerFile => ({
  id,
  name,
  size: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
  visibility: 'public',
});
async function* bytesOf(content: string) {
  yield new TextEncoder().encode(content);
}
const putBack = (person: Person, file: FormerFile, content: string) =>
  uploads.module.putBack(uploads.ids[person], file, () => bytesOf(content));
const upload = async (person: Person, name: string, body: string) =>
  (await (await uploads.request(person, 'PUT', `/api/files/by-name/${name}`, { body })).json()) as FileAnswer;
const contentOf = async (person: Person | null, id: string) =>
  (await uploads.request(person, 'GET', `/api/files/${id}/content`)).text();
const names = async (person: Person) =>
  ((await (await uploads.request(person, 'GET', '/api/files')).json()) as { items: FileAnswer[] }).items.map(
    ({ name }) => name,
  );

describe('a file that is put back', () => {
  test('has its old id, name, content and visibility again after it was deleted', async () => {
    await open();
    const file = await upload('alice', 'a.txt', 'old');
    await uploads.request('alice', 'DELETE', `/api/files/${file.id}`);
    expect(await putBack('alice', former(file.id, 'a.txt', 'old'), 'old')).toBe('made');
    expect(await contentOf(null, file.id)).toBe('old');
    expect(await names('alice')).toEqual(['a.txt']);
  });

  test('is left alone when it is there as it was, and its body is not read', async () => {
    await open();
    const file = await upload('alice', 'a.txt', 'old');
    const unread = () => {
      throw new Error('read');
    };
    const outcome = await uploads.module.putBack(uploads.ids.alice, former(file.id, 'a.txt', 'old'), unread);
    expect(outcome).toBe('present');
  });

  test('gets its old content, and what it had by now stays beside it', async () => {
    await open();
    const file = await upload('alice', 'a.txt', 'old');
    await upload('alice', 'a.txt', 'newer');
    expect(await putBack('alice', former(file.id, 'a.txt', 'old'), 'old')).toBe('replaced');
    expect(await contentOf('alice', file.id)).toBe('old');
    const { items } = (await (await uploads.request('alice', 'GET', '/api/files')).json()) as { items: FileAnswer[] };
    const copy = items.find(({ id }) => id !== file.id) as FileAnswer;
    expect(copy.name).toMatch(/^a \(before restore \d{4}-\d\d-\d\d\)\.txt$/);
    expect(copy.visibility).toBe('private');
    expect(await uploads.database.read.select().from(doomedObjects)).toEqual([]);
    expect(await contentOf('alice', copy.id)).toBe('newer');
    expect((await uploads.filesOnDisk()).length).toBe(2);
  });

  test('does not touch the file of somebody else that has the id', async () => {
    await open();
    const bobs = await upload('bob', 'b.txt', 'bob');
    expect(await putBack('alice', former(bobs.id, 'a.txt', 'old'), 'old')).toBe('made');
    expect(await contentOf('bob', bobs.id)).toBe('bob');
    expect(await names('bob')).toEqual(['b.txt']);
    expect(await names('alice')).toEqual(['a.txt']);
  });

  test('of another installation is found by its name and content', async () => {
    await open();
    expect(await putBack('alice', former(null, 'a.txt', 'old'), 'old')).toBe('made');
    expect(await putBack('alice', former(null, 'a.txt', 'old'), 'old')).toBe('present');
    expect(await names('alice')).toEqual(['a.txt']);
  });

  test('is refused, and nothing of it kept, when the bytes are others or the quota is full', async () => {
    await open({ userQuotaBytes: 10 });
    const codeOf = (file: FormerFile, content: string) =>
      putBack('alice', file, content).then(
        () => 'kept',
        (error: unknown) => {
          for (const name of ['hash-mismatch', 'quota-exceeded'] as const) {
            if (uploadProblems.is(error, name)) return name;
          }
          throw error;
        },
      );
    expect(await codeOf(former(uuidv7(), 'a.txt', 'old'), 'odd')).toBe('hash-mismatch');
    expect(await codeOf(former(uuidv7(), 'a.txt', 'x'.repeat(11)), 'x'.repeat(11))).toBe('quota-exceeded');
    expect(await uploads.filesOnDisk()).toEqual([]);
    expect(await names('alice')).toEqual([]);
  });
});
