import { expect, test } from 'bun:test';
import { withWriteback } from '../../../src/db/image-writeback.ts';

/** Work that ends when it is told, and a flush that tells when it was called three times. */
function underWay() {
  const work = Promise.withResolvers<string>();
  const third = Promise.withResolvers<void>();
  let flushes = 0;
  const flush = async () => {
    if (++flushes === 3) third.resolve();
  };
  return { ...work, flush, thirdFlush: third.promise };
}

test('a file is flushed again and again while it is filled', async () => {
  const work = underWay();
  const result = withWriteback('/image', work.promise, work.flush);
  await work.thirdFlush;
  work.resolve('filled');
  expect(await result).toBe('filled');
});

test('the work fails with its own error, whatever became of the flushes', async () => {
  const work = Promise.withResolvers<never>();
  const seen = Promise.withResolvers<void>();
  const result = withWriteback('/image', work.promise, async () => {
    seen.resolve();
    throw new Error('no such file yet');
  }).catch((error: unknown) => error);
  await seen.promise;
  work.reject(new Error('the disk is full'));
  expect(await result).toEqual(new Error('the disk is full'));
});
