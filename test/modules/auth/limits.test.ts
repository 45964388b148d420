import { describe, expect, test } from 'bun:test';
import { sql } from 'drizzle-orm';
import { serverProblems } from '../../../src/kernel/problems.ts';
import { PASSWORD, register } from '../../support/client.ts';
import { plainHasher } from '../../support/fakes.ts';
import { type AuthHouse, openAuth } from './support.ts';

const accountPolicy = { name: 'auth', count: 5, windowSeconds: 60 };

const guess = (house: AuthHouse, email: string, more: object = {}) =>
  house.call('POST', '/api/auth/login', { json: { email, password: 'a wrong password', ...more } });

describe('guesses at one account', () => {
  test('are limited from whichever address they come, and for unknown accounts alike', async () => {
    await using house = await openAuth({ accountPolicy });
    await register(house.call, 'ada@example.org');
    for (const email of ['ada@example.org', 'nobody@example.org']) {
      const statuses: number[] = [];
      for (let round = 0; round < 7; round++) {
        house.from(`192.0.2.${round}`);
        statuses.push((await guess(house, email)).status);
      }
      expect(statuses, email).toEqual([401, 401, 401, 401, 401, 429, 429]);
    }
  });

  test('limit the right password too, say when to come back, and leave other accounts alone', async () => {
    await using house = await openAuth({ accountPolicy });
    await register(house.call, 'ada@example.org');
    await register(house.call, 'bob@example.org');
    for (let round = 0; round < 5; round++) await guess(house, 'ada@example.org');
    const json = { email: 'ada@example.org', password: PASSWORD };
    const refused = await house.call('POST', '/api/auth/login', { json });
    expect([refused.status, refused.json['code']]).toEqual([429, 'request/rate-limited']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await house.call('POST', '/api/auth/login', { json: { ...json, email: 'bob@example.org' } })).status).toBe(
      200,
    );
    house.clock.turn(Number(refused.headers.get('retry-after')) * 1000);
    expect((await house.call('POST', '/api/auth/login', { json })).status).toBe(200);
  });

  test('CVE-2025-64526: nothing that is sent beside gives a fresh allowance', async () => {
    await using house = await openAuth({ accountPolicy });
    const spellings = ['ada@example.org', 'ADA@example.org', ' ada@example.org', 'ada@example.org ', 'Ada@Example.Org'];
    for (const email of spellings) expect((await guess(house, email)).status).toBe(401);
    for (const [round, email] of spellings.entries()) {
      expect((await guess(house, email, { junk: round, name: `n${round}` })).status, email).toBe(429);
    }
    for (const headers of [
      { 'x-forwarded-for': '203.0.113.7' },
      { 'x-request-id': 'fresh' },
      { 'user-agent': 'other' },
    ]) {
      const json = { email: 'ada@example.org', password: 'a wrong password' };
      expect((await house.call('POST', '/api/auth/login?fresh=1', { json, headers })).status).toBe(429);
    }
    const form = { grant_type: 'password', username: 'ada@example.org', password: 'a wrong password' };
    expect((await house.call('POST', '/api/auth/token', { form })).status).toBe(429);
  });

  test('by a stolen access token are limited as well', async () => {
    await using house = await openAuth({ accountPolicy });
    const { access_token: token } = await register(house.call, 'ada@example.org');
    const json = { currentPassword: 'a wrong password', newPassword: 'a new password' };
    const statuses: number[] = [];
    for (let round = 0; round < 6; round++)
      statuses.push((await house.call('POST', '/api/auth/password', { token, json })).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
    const move = { email: 'eve@example.org', currentPassword: PASSWORD };
    expect((await house.call('PATCH', '/api/auth/me', { token, json: move })).status).toBe(429);
  });
});

describe('sign-in routes', () => {
  test('share one allowance of an address, and of the /64 behind an IPv6 address', async () => {
    await using house = await openAuth({ addressPolicy: { name: 'auth', count: 4, windowSeconds: 60 } });
    house.from('2001:db8:1:2::1');
    expect((await guess(house, 'a@example.org')).status).toBe(401);
    house.from('2001:db8:1:2:ffff::2');
    expect((await house.call('POST', '/api/auth/register', { json: {} })).status).toBe(422);
    house.from('2001:0db8:0001:0002:0000:0000:0000:0003');
    expect((await house.call('POST', '/api/auth/token', { form: '' })).status).toBe(400);
    expect((await house.call('POST', '/api/auth/setup', { json: {} })).status).toBe(422);
    for (let host = 4; host < 8; host++) {
      house.from(`2001:db8:1:2::${host}`);
      expect((await guess(house, `${host}@example.org`)).status).toBe(429);
    }
    house.from('2001:db8:1:3::1');
    expect((await guess(house, 'a@example.org')).status).toBe(401);
  });
});

describe('the hasher', () => {
  test('when it is too busy, signing in and registering are told to come back', async () => {
    const busy = async () => {
      throw serverProblems.create('busy', { retryAfterSeconds: 2 });
    };
    await using house = await openAuth({ hasher: { ...plainHasher(), hash: busy, verify: busy } });
    for (const path of ['/api/auth/login', '/api/auth/register']) {
      const answer = await house.call('POST', path, { json: { email: 'a@example.org', password: PASSWORD } });
      expect([answer.status, answer.json['code'], answer.headers.get('retry-after')]).toEqual([
        503,
        'server/busy',
        '2',
      ]);
    }
    expect(house.faults).toEqual([]);
  });

  test('is asked once for each attempt, whether or not the account exists', async () => {
    const plain = plainHasher();
    let verified = 0;
    const hasher = {
      ...plain,
      verify: (password: string, hash: string) => {
        verified++;
        return plain.verify(password, hash);
      },
    };
    await using house = await openAuth({ hasher });
    const { user } = await register(house.call, 'ada@example.org');
    const countOf = async (email: string) => {
      verified = 0;
      expect((await guess(house, email)).status).toBe(401);
      return verified;
    };
    expect(await countOf('ada@example.org')).toBe(1);
    expect(await countOf('nobody@example.org')).toBe(1);
    await house.database.write((tx) => tx.run(sql`UPDATE users SET disabled_at = 1 WHERE id = ${user.id}`));
    expect(await countOf('ada@example.org')).toBe(1);
  });

  test('makes a new hash at sign-in when the parameters have changed', async () => {
    await using house = await openAuth();
    await register(house.call, 'ada@example.org');
    await house.database.write((tx) => tx.run(sql`UPDATE users SET password_hash = ${`outdated$${PASSWORD}`}`));
    const login = await house.call('POST', '/api/auth/login', {
      json: { email: 'ada@example.org', password: PASSWORD },
    });
    expect(login.status).toBe(200);
    const [row] = await house.database.read.values<[string]>(sql`SELECT password_hash FROM users`);
    expect(row?.[0]).toBe(`plain$${PASSWORD}`);
  });
});
