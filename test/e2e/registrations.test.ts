import { expect, setDefaultTimeout, test } from 'bun:test';
import { type Call, createClient, PASSWORD, register } from '../support/client.ts';
import { startServer } from '../support/server.ts';

setDefaultTimeout(60_000);

/** Works through all items, a few at a time. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

test('a crash during 200 registrations loses none that was acknowledged, and leaves none in halves', async () => {
  await using server = await startServer();
  const call = createClient(server.url);
  const emails = Array.from({ length: 200 }, (_, index) => `user-${index}@example.org`);
  const acknowledged = new Map<string, { id: string; refreshToken: string }>();
  /** What was under way when the server went. */
  const inDoubt: string[] = [];
  let killed: Promise<void> | null = null;
  await each(emails, async (email) => {
    try {
      const { user, refresh_token } = await register(call, email);
      acknowledged.set(email, { id: user.id, refreshToken: refresh_token });
    } catch {
      if (inDoubt.length < 20) inDoubt.push(email);
    }
    if (acknowledged.size >= 70) killed ??= server.kill();
  });
  await killed;
  expect(acknowledged.size).toBeWithin(70, 200);

  await using again = await server.restart();
  const there = createClient(again.url);
  await each([...acknowledged], async ([email, { id, refreshToken }]) => {
    expect(await outcomeOf(there, email)).toBe(`signed in as ${id}`);
    const refreshed = await there('POST', '/api/auth/refresh', { json: { refresh_token: refreshToken } });
    expect(refreshed.status, email).toBe(200);
  });
  // The others are there with their password or not at all: then the address is free.
  expect(inDoubt.length).toBeGreaterThan(0);
  await each(inDoubt, async (email) => {
    if ((await outcomeOf(there, email)) === 'refused') await register(there, email);
  });
});

async function outcomeOf(call: Call, email: string): Promise<string> {
  const answer = await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } });
  if (answer.status === 401) return 'refused';
  return `signed in as ${(answer.json['user'] as { id: string } | undefined)?.id}`;
}
