import { describe, expect, test } from 'bun:test';
import { bunPasswordHasher } from '../../src/drivers/bun-password-hasher.ts';
import { AppError } from '../../src/kernel/errors.ts';

describe('the password hasher', () => {
  const hasher = bunPasswordHasher({ concurrency: 2, maxWaiting: 16 });

  test('makes argon2id hashes with the parameters of OWASP, never the same twice', async () => {
    const [first, second] = await Promise.all([hasher.hash('a password'), hasher.hash('a password')]);
    expect(first).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$');
    expect(first).not.toBe(second);
    expect(first).not.toContain('a password');
  });

  test('knows the right password and no other', async () => {
    const hash = await hasher.hash('correct horse');
    const tries = ['correct horse', 'correct hors', 'correct horse ', 'Correct horse', ''];
    const verdicts = await Promise.all(tries.map((password) => hasher.verify(password, hash)));
    expect(verdicts).toEqual([true, false, false, false, false]);
  });

  test('cuts nothing off (ASVS 6.2.8)', async () => {
    const long = 'x'.repeat(127);
    const hash = await hasher.hash(`${long}a`);
    expect(await Promise.all([hasher.verify(`${long}a`, hash), hasher.verify(`${long}b`, hash)])).toEqual([
      true,
      false,
    ]);
    const withNul = await hasher.hash('before\u0000after');
    expect(await hasher.verify('before', withNul)).toBe(false);
  });

  test('sees which hashes were made with other parameters', async () => {
    const other = await Bun.password.hash('a password', { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 });
    expect(hasher.isOutdated(other)).toBe(true);
    expect(hasher.isOutdated(await Bun.password.hash('a password', { algorithm: 'bcrypt', cost: 4 }))).toBe(true);
    expect(hasher.isOutdated(await hasher.hash('a password'))).toBe(false);
    expect(await hasher.verify('a password', other)).toBe(true);
  });

  test('when too many wait says so, with a time to come back, and recovers', async () => {
    const small = bunPasswordHasher({ concurrency: 1, maxWaiting: 2 });
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => small.hash('a password')));
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
    ]);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      expect(outcome.reason).toBeInstanceOf(AppError);
      expect(outcome.reason).toMatchObject({ code: 'server/busy', retryAfterSeconds: 2 });
    }
    expect(await small.verify('a password', await small.hash('a password'))).toBe(true);
  });

  test('a hash that is none is a fault, and takes no place for good', async () => {
    const small = bunPasswordHasher({ concurrency: 1, maxWaiting: 1 });
    for (let round = 0; round < 4; round++) {
      const outcome = await small.verify('a password', 'nonsense').catch(() => 'fault');
      expect(['fault', false]).toContain(outcome);
    }
    expect(await small.hash('a password')).toStartWith('$argon2id$');
  });
});
