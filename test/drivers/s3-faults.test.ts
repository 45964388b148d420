import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { s3Stores } from '../../src/drivers/s3-stores.ts';
import type { AppError } from '../../src/kernel/errors.ts';
import { storageProblems } from '../../src/kernel/problems.ts';
import { bytes, collect, failureOf, from } from '../contracts/object-store.ts';
import { eventually } from '../support/eventually.ts';
import { recordingLog } from '../support/fakes.ts';
import { type S3Stub, type StubFault, startS3Stub } from '../support/s3-stub.ts';

const MIB = 2 ** 20;
const LARGE = bytes(20 * MIB, 3);

let stub: S3Stub;
const log = recordingLog();
beforeEach(async () => {
  log.lines.length = 0;
  stub = await startS3Stub({ refusesChecksums: true, wantsEqualParts: true });
});
afterEach(() => stub.stop());

const open = (changes: object = {}) =>
  s3Stores({
    ...stub.options,
    prefix: 'house',
    log,
    answerMs: 500,
    slowestBytesPerSecond: 16 * MIB,
    stallMs: 200,
    ...changes,
  });
const kept = () => stub.store.everything();
const readWhole = async (store: ReturnType<typeof open>['objects'], key: string) =>
  Buffer.from(await new Response((await store.get(key))?.body).arrayBuffer());

describe('a fault that passes is not noticed', () => {
  const faults: StubFault[] = [
    { kind: 'status', status: 500, code: 'InternalError' },
    { kind: 'status', status: 503, code: 'SlowDown' },
    { kind: 'silence' },
    { kind: 'reset' },
    { kind: 'done-then-reset' },
  ];
  const operations = ['PutObject', 'HeadObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'];
  for (const operation of operations) {
    test.each(faults)(`%j while putting: ${operation}`, async (fault) => {
      const { objects } = open();
      stub.fail(operation, fault);
      const stored = await objects.put('files/large', from([LARGE]));
      expect(stored.size).toBe(LARGE.length);
      await objects.settle('files/large');
      expect(Buffer.compare(await readWhole(objects, 'files/large'), LARGE)).toBe(0);
      await objects.put('files/small', from([bytes(10)]));
      await objects.settle('files/small');
      // An upload in parts whose creation was answered by nobody is found with the rest, later.
      const known = kept().filter((name) => !name.startsWith('upload of'));
      expect(known).toEqual(['house/files/large', 'house/files/small']);
    });
  }

  test('a completion that says 200 and then fails is asked for again', async () => {
    const { objects } = open();
    stub.fail('CompleteMultipartUpload', { kind: 'error-in-200', code: 'InternalError' });
    expect((await objects.put('files/a', from([LARGE]))).size).toBe(LARGE.length);
  });

  test.each<StubFault>([
    { kind: 'truncate', bytes: 100_000 },
    { kind: 'stall', bytes: 1_000_000 },
    { kind: 'truncate', bytes: 0 },
    { kind: 'reset' },
  ])('a download that ends by %j goes on where it stopped', async (fault) => {
    const { objects } = open();
    await objects.put('files/a', from([LARGE]));
    await objects.put('files/small', from([bytes(200_000)]));
    for (const key of ['files/a', 'files/small']) {
      stub.fail('GetObject', fault, 2);
      expect(Buffer.compare(await readWhole(objects, key), key === 'files/a' ? LARGE : bytes(200_000))).toBe(0);
      stub.clearFaults();
    }
  });
});

describe('a fault that stays', () => {
  test.each<[StubFault, string]>([
    [{ kind: 'status', status: 503, code: 'SlowDown' }, 'slow down'],
    [{ kind: 'status', status: 403, code: 'AccessDenied' }, 'refuses the access key'],
    [{ kind: 'status', status: 301, code: 'PermanentRedirect' }, 'another region'],
    [{ kind: 'status', status: 404, code: 'NoSuchBucket' }, 'bucket does not exist'],
    [{ kind: 'silence' }, 'does not answer'],
  ])(
    '%j becomes storage/unavailable with Retry-After, and one clear line',
    async (fault, hint) => {
      const { objects } = open({ answerMs: 50 });
      stub.fail('PutObject', fault, 100);
      const failed = await failureOf(objects.put('files/a', from([bytes(10)])));
      expect(storageProblems.is(failed, 'unavailable')).toBe(true);
      expect((failed as AppError).retryAfterSeconds).toBe(5);
      expect(log.lines.filter(({ message }) => message.includes(hint))).toHaveLength(1);
      expect(kept()).toEqual([]);
      // The pauses that a store asks for come to some seconds.
    },
    30_000,
  );

  test('a full store becomes storage/full', async () => {
    stub.fail('UploadPart', { kind: 'status', status: 507, code: 'InsufficientStorage' }, 100);
    expect(storageProblems.is(await failureOf(open().objects.put('files/a', from([LARGE]))), 'full')).toBe(true);
    stub.clearFaults();
  });

  test('a download that is cut again and again fails, and is not taken for a whole one', async () => {
    const { objects } = open();
    await objects.put('files/a', from([LARGE]));
    stub.fail('GetObject', { kind: 'truncate', bytes: 0 }, 100);
    const body = (await objects.get('files/a'))?.body as ReadableStream<Uint8Array>;
    expect(storageProblems.is(await failureOf(new Response(body).arrayBuffer()), 'unavailable')).toBe(true);
  });

  test.each([
    ['a wrong secret', { secretAccessKey: 'another-secret-of-forty-characters-or-so' }, 'refuses the access key'],
    ['an unknown key', { accessKeyId: 'UNKNOWN' }, 'refuses the access key'],
    ['a wrong region', { region: 'us-west-9' }, 'another region'],
  ])('%s is told to the log, and no secret', async (_, changes, hint) => {
    const { objects } = open(changes);
    expect(storageProblems.is(await failureOf(objects.check()), 'unavailable')).toBe(true);
    expect(storageProblems.is(await failureOf(objects.put('files/a', from([bytes(1)]))), 'unavailable')).toBe(true);
    expect(log.lines.some(({ message }) => message.includes(hint))).toBe(true);
    const told = Bun.inspect(log.lines, { depth: 10 });
    for (const secret of [stub.options.secretAccessKey, 'another-secret', 'Signature='])
      expect(told).not.toContain(secret);
  });

  test('a clock that is an hour off is made up for', async () => {
    stub.turnClock(3_600_000);
    const { objects } = open();
    await objects.put('files/a', from([bytes(10)]));
    expect((await readWhole(objects, 'files/a')).length).toBe(10);
  });
});

describe('what a crash leaves behind', () => {
  /** As a machine that died would have left it. */
  const leave = async (key: string, content: Uint8Array | null) => {
    stub.store.put(`house/.unsettled/${key.replaceAll('/', '~')}`, new Uint8Array(), 'x');
    if (content) stub.store.put(`house/${key}`, content, 'x');
  };
  const grow = (key: string, ms: number) => stub.store.age(`house/.unsettled/${key.replaceAll('/', '~')}`, ms);

  test('is found once its mark is old, oldest first, and settled or deleted', async () => {
    const { objects } = open();
    for (const [key, age] of [
      ['files/b', 2 * 3_600_000],
      ['files/a', 3 * 3_600_000],
      ['files/young', 60_000],
    ] as const) {
      await leave(key, bytes(10));
      grow(key, age);
    }
    expect(await collect(objects.unsettled())).toEqual(['files/a', 'files/b']);
    await objects.settle('files/a');
    await objects.delete('files/b');
    expect(kept()).toEqual(['house/.unsettled/files~young', 'house/files/a', 'house/files/young']);
  });

  test('is removed along the way when it never became an object', async () => {
    const { objects } = open();
    await leave('files/half', null);
    grow('files/half', 2 * 3_600_000);
    stub.store.open('house/files/half', 'x');
    stub.store.open('house/files/half-of-somebody-else', 'x');
    expect(await collect(objects.unsettled())).toEqual([]);
    expect(kept()).toEqual(['upload of house/files/half-of-somebody-else']);
  });

  test('the mark stands before the object, and is renewed while its process lives', async () => {
    const { objects } = open({ renewMs: 20, staleMs: 60_000 });
    await objects.put('files/a', from([LARGE]));
    const order = stub.requests.filter((name) => name !== 'UploadPart');
    expect(order.slice(0, 2)).toEqual(['PutObject', 'CreateMultipartUpload']);
    const mark = 'house/.unsettled/files~a';
    stub.store.age(mark, 3_600_000);
    const isYoung = () => Date.now() - (stub.store.objects.get(mark)?.atMs ?? 0) < 60_000;
    await eventually(isYoung);
    await objects.settle('files/a');
    expect(kept()).toEqual(['house/files/a']);
  });

  test('a put that could not renew its mark gives up, since others may take it for dead', async () => {
    const { objects } = open({ renewMs: 10, staleMs: 400 });
    async function* slow() {
      yield bytes(10);
      await eventually(() => kept().length === 1);
      stub.fail('PutObject', { kind: 'status', status: 403, code: 'AccessDenied' }, 1000);
      const before = stub.requests.length;
      await eventually(() => stub.requests.length > before + 5);
      await new Promise((resolve) => setTimeout(resolve, 250));
      yield LARGE;
    }
    expect(storageProblems.is(await failureOf(objects.put('files/a', slow())), 'unavailable')).toBe(true);
    expect(stub.store.objects.has('house/files/a')).toBe(false);
  });

  test('a put whose last request got no answer leaves its mark, for a later look', async () => {
    const { objects } = open({ answerMs: 50 });
    stub.fail('HeadObject', { kind: 'status', status: 500, code: 'InternalError' }, 100);
    await failureOf(objects.put('files/a', from([bytes(10)])));
    expect(kept()).toEqual(['house/.unsettled/files~a']);
  });
});

test('a store that cannot list uploads in parts is swept all the same', async () => {
  await stub.stop();
  stub = await startS3Stub({ lacks: ['ListMultipartUploads'] });
  const { objects } = open();
  stub.store.put('house/.unsettled/files~a', new Uint8Array(), 'x');
  stub.store.age('house/.unsettled/files~a', 2 * 3_600_000);
  expect(await collect(objects.unsettled())).toEqual([]);
  expect(kept()).toEqual([]);
});

test('many slow bodies at once are gathered in files, so that memory is bounded and fast ones get through', async () => {
  const { objects } = open({ answerMs: 20_000 });
  const goOn = Promise.withResolvers<void>();
  async function* slow(seed: number) {
    yield bytes(700_000, seed);
    await goOn.promise;
    yield bytes(300_000, seed);
  }
  const slowOnes = Array.from({ length: 40 }, (_, index) => objects.put(`files/slow/${index}`, slow(index)));
  const fast = await objects.put('files/fast', from([LARGE]));
  expect(fast.size).toBe(LARGE.length);
  goOn.resolve();
  for (const stored of await Promise.all(slowOnes)) expect(stored.size).toBe(1_000_000);
  const expected = Buffer.concat([bytes(700_000, 39), bytes(300_000, 39)]);
  expect(Buffer.compare(await readWhole(objects, 'files/slow/39'), expected)).toBe(0);
});

test('says how much one object can have: what the parts of one upload hold', () => {
  const most = open().objects.maxObjectBytes as number;
  expect([most > 48 * 1024 * MIB, most <= 10_000 * 5 * MIB]).toEqual([true, true]);
});

describe('a body that fails while parts are on their way', () => {
  const mebibytes = async function* (count: number, end: () => void = () => undefined) {
    for (let index = 0; index < count; index++) yield bytes(MIB, index);
    end();
  };
  const failures = {
    'that is too large': { body: () => mebibytes(11), maxBytes: 11 * MIB - 1, code: 'storage/too-large' },
    'whose source refuses': {
      body: () =>
        mebibytes(11, () => {
          throw storageProblems.create('full');
        }),
      maxBytes: 20 * MIB,
      code: 'storage/full',
    },
  };
  test.each(Object.entries(failures))('%s is refused as what it is, and nothing stays', async (_, failure) => {
    const { objects } = open();
    stub.fail('UploadPart', { kind: 'silence' }, 2);
    const { body, maxBytes, code } = failure;
    expect(await failureOf(objects.put('files/x', body(), { maxBytes }))).toMatchObject({ code });
    expect(kept().filter((name) => !name.includes('.unsettled'))).toEqual([]);
    // What is on its way may still arrive, so the mark is left to grow old, renewed by nobody.
    stub.turnClock(2 * 3_600_000);
    expect(await collect(open().objects.unsettled())).toEqual([]);
    expect(kept()).toEqual([]);
  });
});
