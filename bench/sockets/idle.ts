import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { jwtSigner } from '../../src/drivers/jwt-signer.ts';
import { uuidv7 } from '../../src/kernel/ids.ts';
import { createKeyring } from '../../src/kernel/keys.ts';
import type { Bench } from '../harness/area.ts';
import { SECRET, startBunkhouse } from '../harness/bunkhouse.ts';
import { residentBytes } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { median } from '../harness/rounds.ts';
import { openSubscribers } from './subscribers.ts';

const CONNECTIONS = 10_000;
/** What is loaded and compiled with the first connections is not theirs. */
const WARM_UP = 500;
/** After a rush of connections the garbage of opening them is collected within this. */
const SETTLE_MS = 20_000;
const WARM_SETTLE_MS = 5_000;
const DAY_MS = 86_400_000;

/** What a connection takes that is signed in, hears its user's topic and says nothing: every one of another user. */
export async function measureIdle(bench: Bench): Promise<void> {
  bench.say(`${CONNECTIONS} idle connections`);
  const samples: number[] = [];
  for (let round = 0; round < Math.min(3, bench.options.runs); round++) {
    const name = `idle-${round}`;
    const server = await startBunkhouse(bench, name);
    const tokens = await createUsers(join(bench.workDir, name, 'main.db'), CONNECTIONS + WARM_UP);
    const publishTo = { origins: [], path: '', headers: {}, body: '' };
    const open = (some: readonly string[]) =>
      openSubscribers({ wire: 'centrifugo', origins: [server.origin], count: some.length, tokens: some, publishTo });
    const warmUp = await open(tokens.slice(CONNECTIONS));
    await warmUp.close();
    await Bun.sleep(WARM_SETTLE_MS);
    const before = residentBytes(server.pid);
    const subscribers = await open(tokens.slice(0, CONNECTIONS));
    await Bun.sleep(SETTLE_MS);
    samples.push((residentBytes(server.pid) - before) / CONNECTIONS / 1024);
    await subscribers.close();
    await server.stop();
    bench.say(`  ${figure(samples.at(-1) ?? 0)} KB each on top of ${figure(megabytes(before))} MB`);
  }
  bench.report.find({
    what: 'memory of an idle connection that is signed in',
    value: median(samples),
    unit: 'KB',
    atMost: 6,
    aside: `${CONNECTIONS} connections of as many users`,
  });
}

/** Puts users with a login each into the database, and signs their access tokens: to register them would take minutes. */
async function createUsers(file: string, count: number): Promise<string[]> {
  const now = Date.now();
  const accessTokens = jwtSigner({
    key: createKeyring(SECRET)('access-token'),
    type: 'at+jwt',
    issuer: 'bunkhouse',
    audience: 'bunkhouse/api',
  });
  const exp = Math.floor((now + DAY_MS) / 1_000);
  const database = new Database(file);
  const user = database.prepare(
    "INSERT INTO users (id, email, name, role, password_hash, email_verified, token_epoch, created_at, updated_at) VALUES (?1, ?2, 'Somebody', 'user', '', 1, 0, ?3, ?3)",
  );
  const session = database.prepare(
    'INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)',
  );
  const logins = Array.from({ length: count }, (_, index) => ({ id: uuidv7(now), sid: uuidv7(now), index }));
  database.transaction(() => {
    for (const { id, sid, index } of logins) {
      user.run(id, `user${index}@example.org`, now);
      session.run(sid, id, now, now + DAY_MS);
    }
  })();
  database.close();
  return Promise.all(logins.map(({ id, sid }) => accessTokens.sign({ sub: id, sid, epoch: 0, exp })));
}
