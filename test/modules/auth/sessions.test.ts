import { describe, expect, test } from 'bun:test';
import { eq, sql } from 'drizzle-orm';
import { refreshTokens, sessions } from '../../../src/db/schema/auth.ts';
import { deleteEndedSessions } from '../../../src/modules/auth/store.ts';
import { PASSWORD, register, signIn, type Tokens } from '../../support/client.ts';
import { type AuthHouse, openAuth } from './support.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const refresh = async (house: AuthHouse, refresh_token: string) => {
  const answer = await house.call('POST', '/api/auth/refresh', { json: { refresh_token } });
  return { status: answer.status, tokens: answer.json as unknown as Tokens };
};
const statusOfMe = async (house: AuthHouse, token: string) =>
  (await house.call('GET', '/api/auth/me', { token })).status;

describe('an access token', () => {
  test('ends after fifteen minutes, also when it was seen before', async () => {
    await using house = await openAuth();
    const { access_token, refresh_token } = await register(house.call, 'ada@example.org');
    house.clock.turn(15 * MINUTE - 1000);
    expect(await statusOfMe(house, access_token)).toBe(200);
    house.clock.turn(1000);
    expect(await statusOfMe(house, access_token)).toBe(401);
    expect((await refresh(house, refresh_token)).status).toBe(200);
  });

  test('of another user, session or epoch does not stand', async () => {
    await using house = await openAuth();
    const [ada, bob] = [await register(house.call, 'ada@example.org'), await register(house.call, 'bob@example.org')];
    const exp = Math.floor(house.clock.now() / 1000) + 900;
    const claims = (await house.accessTokens.verify(ada.access_token)) ?? { sub: '', sid: '', epoch: 0, exp: 0 };
    const status = async (changes: object) =>
      statusOfMe(house, await house.accessTokens.sign({ ...claims, exp, ...changes }));
    expect(await status({})).toBe(200);
    expect(await status({ sub: bob.user.id })).toBe(401);
    expect(await status({ sid: 'unknown' })).toBe(401);
    expect(await status({ sid: '__proto__' })).toBe(401);
    expect(await status({ epoch: claims.epoch + 1 })).toBe(401);
    expect(await status({ epoch: claims.epoch - 1 })).toBe(401);
  });

  test('is believed for at most a second when the database cannot tell whether anything changed', async () => {
    await using house = await openAuth({ isBlind: true });
    const { access_token, user } = await register(house.call, 'ada@example.org');
    expect(await statusOfMe(house, access_token)).toBe(200);
    await house.database.write((tx) => tx.run(sql`UPDATE users SET disabled_at = 1 WHERE id = ${user.id}`));
    house.clock.turn(1000);
    expect(await statusOfMe(house, access_token)).toBe(401);
  });
});

describe('a refresh token', () => {
  test('replayed within ten seconds gives the same successor', async () => {
    await using house = await openAuth();
    const { refresh_token } = await register(house.call, 'ada@example.org');
    const first = await refresh(house, refresh_token);
    house.clock.turn(10_000);
    const replayed = await refresh(house, refresh_token);
    expect([replayed.status, replayed.tokens.refresh_token]).toEqual([200, first.tokens.refresh_token]);
    expect(await statusOfMe(house, replayed.tokens.access_token)).toBe(200);
    expect(house.told.map(({ name }) => name)).not.toContain('auth/token-reused');
  });

  test('replayed later ends the whole login, tells of it, and touches no other', async () => {
    await using house = await openAuth();
    const stolen = await register(house.call, 'ada@example.org');
    const other = await signIn(house.call, 'ada@example.org');
    const heir = (await refresh(house, stolen.refresh_token)).tokens;
    house.clock.turn(10_001);

    expect((await refresh(house, stolen.refresh_token)).status).toBe(401);
    expect((await refresh(house, heir.refresh_token)).status).toBe(401);
    for (const token of [stolen.access_token, heir.access_token]) expect(await statusOfMe(house, token)).toBe(401);
    expect(house.told.filter(({ name }) => name === 'auth/token-reused')).toEqual([
      { name: 'auth/token-reused', event: { userId: stolen.user.id, sessionId: expect.any(String) } },
    ]);
    expect(await statusOfMe(house, other.access_token)).toBe(200);
    expect((await refresh(house, other.refresh_token)).status).toBe(200);
  });

  test('of ten parallel uses after the grace none succeeds', async () => {
    await using house = await openAuth();
    const { refresh_token } = await register(house.call, 'ada@example.org');
    await refresh(house, refresh_token);
    house.clock.turn(10_001);
    const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(house, refresh_token)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(401));
  });

  test('ten parallel uses leave one successor in the database', async () => {
    await using house = await openAuth();
    const { refresh_token } = await register(house.call, 'ada@example.org');
    const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(house, refresh_token)));
    expect(new Set(answers.map(({ tokens }) => tokens.refresh_token)).size).toBe(1);
    expect(await house.database.read.$count(refreshTokens)).toBe(2);
  });

  test('that nobody uses ends after thirty days', async () => {
    await using house = await openAuth();
    const { refresh_token } = await register(house.call, 'ada@example.org');
    house.clock.turn(30 * DAY);
    expect((await refresh(house, refresh_token)).status).toBe(401);
  });

  test('keeps a login alive for ninety days and not longer', async () => {
    await using house = await openAuth();
    let { refresh_token } = await register(house.call, 'ada@example.org');
    for (let day = 20; day < 90; day += 20) {
      house.clock.turn(20 * DAY);
      const next = await refresh(house, refresh_token);
      expect(next.status).toBe(200);
      refresh_token = next.tokens.refresh_token;
    }
    house.clock.turn(10 * DAY);
    expect((await refresh(house, refresh_token)).status).toBe(401);
  });

  test('a replay within the grace does not revive a login that was ended meanwhile', async () => {
    await using house = await openAuth();
    const first = await register(house.call, 'ada@example.org');
    const second = (await refresh(house, first.refresh_token)).tokens;
    await house.call('POST', '/api/auth/logout', { token: second.access_token });
    expect((await refresh(house, first.refresh_token)).status).toBe(401);
    expect((await refresh(house, second.refresh_token)).status).toBe(401);
  });
});

describe('ended logins', () => {
  test('are forgotten with their tokens a week later, and living ones stay', async () => {
    await using house = await openAuth();
    const { access_token } = await register(house.call, 'ada@example.org');
    const living = await signIn(house.call, 'ada@example.org');
    await house.call('POST', '/api/auth/logout', { token: access_token });
    const weekAgo = () => house.clock.now() - 7 * DAY;
    await house.database.write((tx) => deleteEndedSessions(tx, weekAgo()));
    expect(await house.database.read.$count(sessions)).toBe(2);
    house.clock.turn(7 * DAY + 1);
    await house.database.write((tx) => deleteEndedSessions(tx, weekAgo()));
    expect(await house.database.read.$count(sessions)).toBe(1);
    expect(await house.database.read.$count(refreshTokens)).toBe(1);
    expect((await refresh(house, living.refresh_token)).status).toBe(200);
  });
});

test('signing out everywhere, a new password and a change of rights raise the epoch of the user’s tokens', async () => {
  await using house = await openAuth();
  const { user } = await register(house.call, 'ada@example.org');
  const epoch = async () =>
    (await house.database.read.values<[number]>(sql`SELECT token_epoch FROM users WHERE id = ${user.id}`))[0]?.[0];
  const login = async (password?: string) => (await signIn(house.call, 'ada@example.org', password)).access_token;
  expect(await epoch()).toBe(0);
  await house.call('POST', '/api/auth/logout', { token: await login(), json: { everywhere: true } });
  expect(await epoch()).toBe(1);
  const json = { currentPassword: PASSWORD, newPassword: 'a new password' };
  await house.call('POST', '/api/auth/password', { token: await login(), json });
  expect(await epoch()).toBe(2);
  await house.database.write((tx) => tx.run(sql`UPDATE users SET role = 'admin'`));
  await register(house.call, 'root@example.org');
  await house.database.write((tx) => tx.run(sql`UPDATE users SET role = 'admin'`));
  const token = await login('a new password');
  await house.call('PATCH', `/api/users/${user.id}`, { token, json: { role: 'user' } });
  expect(await epoch()).toBe(3);
});

describe('what is told', () => {
  test('every ended login, new, changed and deleted account is an event', async () => {
    await using house = await openAuth();
    const { access_token: token, user } = await register(house.call, 'ada@example.org');
    await house.call('PATCH', '/api/auth/me', { token, json: { name: 'Ada' } });
    await house.call('POST', '/api/auth/logout', { token, json: { everywhere: true } });
    const { access_token } = await signIn(house.call, 'ada@example.org');
    await house.call('DELETE', '/api/auth/me', { token: access_token });
    const userId = user.id;
    expect(house.told).toEqual([
      { name: 'users/created', event: { userId } },
      { name: 'users/changed', event: { userId } },
      { name: 'auth/sessions-revoked', event: { userId, sessionId: null } },
      { name: 'auth/sessions-revoked', event: { userId, sessionId: null } },
      { name: 'users/deleted', event: { userId } },
    ]);
    expect(house.faults).toEqual([]);
  });

  test('a session row names its user, and only hashes of tokens are kept', async () => {
    await using house = await openAuth();
    const { refresh_token, user } = await register(house.call, 'ada@example.org');
    const [row] = await house.database.read.select().from(sessions).where(eq(sessions.userId, user.id)).all();
    const [kept] = await house.database.read.select().from(refreshTokens).all();
    expect(kept).toMatchObject({ sessionId: row?.id, hash: expect.stringMatching(/^[0-9a-f]{64}$/), usedAt: null });
    expect(JSON.stringify([row, kept])).not.toContain(refresh_token);
    expect(JSON.stringify([row, kept])).not.toContain(PASSWORD);
  });
});
