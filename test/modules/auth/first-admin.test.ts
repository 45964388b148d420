import { describe, expect, test } from 'bun:test';
import { sql } from 'drizzle-orm';
import { PASSWORD, register, signIn } from '../../support/client.ts';
import { openAuth } from './support.ts';

const claim = { email: 'root@example.org', password: PASSWORD };

describe('the set-up token', () => {
  test('makes one admin, and the second use is refused', async () => {
    await using house = await openAuth();
    const token = house.setUpToken();
    expect(token).toMatch(/^[\w-]{43}$/);
    const first = await house.call('POST', '/api/auth/setup', { json: { token, ...claim } });
    expect([first.status, (first.json['user'] as { role: string }).role]).toEqual([201, 'admin']);
    const second = await house.call('POST', '/api/auth/setup', {
      json: { token, email: 'eve@example.org', password: PASSWORD },
    });
    expect([second.status, second.json['code']]).toEqual([403, 'auth/setup-closed']);
    expect((await house.call('GET', '/api/users', { token: String(first.json['access_token']) })).status).toBe(200);
  });

  test('of parallel uses exactly one succeeds', async () => {
    await using house = await openAuth();
    const token = house.setUpToken();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        house.call('POST', '/api/auth/setup', { json: { token, email: `a${index}@example.org`, password: PASSWORD } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 403, 403, 403, 403, 403, 403, 403]);
  });

  test.each(['', 'nonsense', 'a'.repeat(43)])('a wrong one does nothing and does not use it up: %p', async (wrong) => {
    await using house = await openAuth();
    const refused = await house.call('POST', '/api/auth/setup', { json: { token: wrong, ...claim } });
    expect([refused.status, refused.json['code']]).toEqual([403, 'auth/setup-closed']);
    const answer = await house.call('POST', '/api/auth/setup', { json: { token: house.setUpToken(), ...claim } });
    expect(answer.status).toBe(201);
  });

  test('stands after a bad password or a taken address', async () => {
    await using house = await openAuth();
    await register(house.call, 'ada@example.org');
    const set = (json: object) =>
      house.call('POST', '/api/auth/setup', { json: { token: house.setUpToken(), ...json } });
    expect((await set({ ...claim, password: 'short' })).status).toBe(422);
    expect((await set({ ...claim, email: 'ADA@example.org' })).json['code']).toBe('auth/email-taken');
    expect((await set(claim)).status).toBe(201);
  });

  test('is worthless once there is an admin by another way', async () => {
    await using house = await openAuth();
    await register(house.call, 'ada@example.org');
    await house.database.write((tx) => tx.run(sql`UPDATE users SET role = 'admin'`));
    const answer = await house.call('POST', '/api/auth/setup', { json: { token: house.setUpToken(), ...claim } });
    expect([answer.status, answer.json['code']]).toEqual([403, 'auth/setup-closed']);
  });
});

test('the admin of the settings exists after the start, and no token is open', async () => {
  await using house = await openAuth({ admin: claim });
  expect(house.setUpToken()).toBeNull();
  expect((await signIn(house.call, claim.email)).user.role).toBe('admin');
  const answer = await house.call('POST', '/api/auth/setup', { json: { token: '', ...claim } });
  expect(answer.status).toBe(403);
});
