import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { jwtSigner } from '../../../src/drivers/jwt-signer.ts';
import { memoryRateLimiter } from '../../../src/drivers/memory-rate-limiter.ts';
import { createEvents, type EventName } from '../../../src/kernel/events.ts';
import { createKeyring } from '../../../src/kernel/keys.ts';
import { type AuthOptions, createAuth } from '../../../src/modules/auth/index.ts';
import type { PasswordHasher } from '../../../src/ports/password-hasher.ts';
import type { Answer, CallOptions } from '../../support/client.ts';
import { fakeClock, plainHasher, recordingLog } from '../../support/fakes.ts';
import { moduleGate } from '../../support/module-gate.ts';

export interface AuthHouseOptions {
  readonly hasher?: PasswordHasher;
  readonly accountPolicy?: AuthOptions['accountPolicy'];
  readonly addressPolicy?: AuthOptions['accountPolicy'];
  readonly admin?: AuthOptions['admin'];
  /** Makes the database one that cannot tell whether anything changed. */
  readonly isBlind?: boolean;
}

/** The auth module behind the real gate, on a database in memory, with a clock that is turned by hand. */
export async function openAuth(options: AuthHouseOptions = {}) {
  const clock = fakeClock();
  const database = await openEmbeddedDatabase({ name: 'main', path: ':memory:' });
  await migrate(database, loadMigrations());
  const log = recordingLog();
  const faults: unknown[] = [];
  const told: { name: EventName; event: unknown }[] = [];
  const events = createEvents((error) => faults.push(error));
  for (const name of [
    'auth/token-reused',
    'auth/sessions-revoked',
    'users/created',
    'users/changed',
    'users/deleted',
  ] as const) {
    events.on(name, (event) => void told.push({ name, event }));
  }
  const limiter = memoryRateLimiter(clock);
  const keys = createKeyring('a secret of the tests that is long enough');
  const signer = (purpose: string, type: string) =>
    jwtSigner({ key: keys(purpose), type, issuer: 'bunkhouse', audience: `bunkhouse/${purpose}` });
  const accessTokens = signer('api', 'at+jwt');
  let setUpToken: string | null = null;
  const auth = createAuth({
    database: options.isBlind ? { ...database, version: () => null } : database,
    clock,
    events,
    log,
    hasher: options.hasher ?? plainHasher(),
    limiter,
    accountPolicy: options.accountPolicy ?? null,
    accessTokens,
    cookieTokens: signer('browser', 'session+jwt'),
    successorKey: keys('refresh-successor'),
    serverKey: undefined,
    publisherKey: 'a-key-for-publishing-of-these-tests',
    admin: options.admin ?? null,
    onSetUpOpen: (token) => {
      setUpToken = token;
    },
  });
  await auth.start?.();
  let address = '192.0.2.1';
  const gate = moduleGate([auth.routes ?? []].flat(), {
    identify: auth.identify,
    recall: auth.recall,
    clientEnd: () => ({ address, isSecure: false }),
    limiter,
    policies: { default: null, auth: options.addressPolicy ?? null },
    onFault: (error) => faults.push(error),
  });

  return {
    clock,
    database,
    accessTokens,
    log,
    told,
    /** Bugs that were answered with 500, and listeners that threw: to be empty. */
    faults,
    setUpToken: () => setUpToken,
    /** Where the next calls come from. */
    from(next: string) {
      address = next;
    },
    async call(method: string, path: string, { token, json, form, headers }: CallOptions = {}): Promise<Answer> {
      const sent = new Headers(headers);
      if (token !== undefined) sent.set('authorization', `Bearer ${token}`);
      if (json !== undefined) sent.set('content-type', 'application/json');
      if (form !== undefined) sent.set('content-type', 'application/x-www-form-urlencoded');
      const body =
        json !== undefined ? JSON.stringify(json) : form !== undefined ? new URLSearchParams(form).toString() : null;
      if (body !== null) sent.set('content-length', String(Buffer.byteLength(body)));
      const request = new Request(`http://localhost${path}`, { method, headers: sent, body });
      const response = await gate(request, {
        peerAddress: address,
        isSecure: false,
        keepOpen: () => undefined,
        cutWhenIdle: () => undefined,
      });
      const text = await response.text();
      if (response.status === 500) throw new Error(`${method} ${path} met a bug`, { cause: faults.at(-1) });
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: text.startsWith('{') ? JSON.parse(text) : {},
      };
    },
    async [Symbol.asyncDispose]() {
      await auth.stop?.();
      await database.close();
    },
  };
}

export type AuthHouse = Awaited<ReturnType<typeof openAuth>>;
