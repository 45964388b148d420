import { startBunServer } from '../../../src/drivers/bun-server.ts';
import { memoryBus } from '../../../src/drivers/memory-bus.ts';
import { memoryRateLimiter } from '../../../src/drivers/memory-rate-limiter.ts';
import type { Account, Role } from '../../../src/kernel/caller.ts';
import { createEvents } from '../../../src/kernel/events.ts';
import { createMetrics } from '../../../src/kernel/metrics.ts';
import { accessProblems } from '../../../src/kernel/problems.ts';
import { createSockets, type SocketsOptions } from '../../../src/modules/sockets/index.ts';
import type { Bus } from '../../../src/ports/bus.ts';
import type { RatePolicy } from '../../../src/ports/rate-limiter.ts';
import { createCors } from '../../../src/web/cors.ts';
import type { GateOptions, Identity } from '../../../src/web/gate.ts';
import { refusedResponse } from '../../../src/web/hosts.ts';
import { type Call, createClient } from '../../support/client.ts';
import { type FakeClock, fakeClock, recordingLog } from '../../support/fakes.ts';
import { moduleGate } from '../../support/module-gate.ts';

export const SERVER_KEY = 'a-server-key-of-the-tests-that-is-long-enough';

export interface TokenOptions {
  readonly role?: Role;
  readonly session?: string;
  /** Seconds from now. */
  readonly expiresIn?: number;
}

export type SocketHouseOptions = Partial<
  Pick<SocketsOptions, 'rules' | 'limits' | 'corsOrigins' | 'rpc' | 'pusher' | 'publicUrl' | 'logins'>
> & {
  readonly bus?: (clock: FakeClock) => Bus;
  readonly policy?: RatePolicy;
  readonly clock?: FakeClock;
  readonly idleSeconds?: number;
};

/** The sockets behind the real gate and the real listener, with accounts that are made up and a clock that is turned by hand. */
export async function openSockets(options: SocketHouseOptions = {}) {
  const clock = options.clock ?? fakeClock();
  const log = recordingLog();
  const faults: unknown[] = [];
  const events = createEvents((error) => faults.push(error));
  const metrics = createMetrics();
  const limiter = memoryRateLimiter(clock);
  const revoked = new Set<string>();
  const bus = options.bus?.(clock) ?? memoryBus({ clock });

  const identifyToken = (token: string): Identity => {
    if (token === SERVER_KEY) return { caller: { kind: 'server', id: 'server', role: 'admin' }, fault: null };
    const { sub, role, sid, exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString() || '{}');
    const stands = typeof sub === 'string' && exp * 1000 > clock.now() && !revoked.has(sid);
    if (!stands) return { caller: null, fault: accessProblems.create('invalid-token') };
    const account: Account = {
      id: sub,
      email: `${sub}@example.org`,
      name: `Name of ${sub}`,
      role,
      emailVerified: true,
      createdAt: '',
    };
    return { caller: { kind: 'user', id: sub, role, account, sessionId: sid, via: 'bearer' }, fault: null };
  };
  const identify = (request: Request): Identity => {
    const header = request.headers.get('authorization');
    return header === null ? { caller: null, fault: null } : identifyToken(header.slice('Bearer '.length));
  };

  const clientEnd: GateOptions['clientEnd'] = (_headers, { peerAddress, isSecure }) => ({
    address: peerAddress,
    isSecure,
  });
  const sockets = createSockets({
    bus,
    clock,
    events,
    log,
    metrics,
    limiter,
    policy: options.policy ?? null,
    identify,
    logins: options.logins ?? { version: () => 0, findEnded: async () => [] },
    clientEnd,
    publicUrl: options.publicUrl ?? (() => 'https://own.example'),
    corsOrigins: options.corsOrigins ?? [],
    rules: options.rules ?? {},
    topicTokenKey: new Uint8Array(32).fill(7),
    version: 'test',
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.rpc ? { rpc: options.rpc } : {}),
    ...(options.pusher ? { pusher: options.pusher } : {}),
  });
  const gate = moduleGate([sockets.routes ?? []].flat(), {
    identify,
    clientEnd,
    limiter,
    cors: createCors(options.corsOrigins ?? []),
    onFault: (error) => faults.push(error),
  });
  const server = startBunServer({
    hostname: '127.0.0.1',
    port: 0,
    isHostAllowed: (host) => host !== 'evil.example',
    refuse: refusedResponse,
    handle: gate,
    sockets: sockets.upgrades,
    ...(options.idleSeconds === undefined ? {} : { idleSeconds: options.idleSeconds }),
  });
  await sockets.start?.();

  return {
    url: server.url,
    websocketUrl: `${server.url.replace('http', 'ws')}/connection/websocket`,
    port: server.port,
    clock,
    bus,
    events,
    metrics,
    log,
    sockets,
    call: createClient(server.url) as Call,
    /** Bugs: to be empty. */
    faults: () => [...faults, ...log.lines.filter(({ level }) => level === 'error')],
    token(
      userId: string,
      { role = 'user', session = `session of ${userId}`, expiresIn = 900 }: TokenOptions = {},
    ): string {
      const exp = Math.floor(clock.now() / 1000) + expiresIn;
      const claims = Buffer.from(JSON.stringify({ sub: userId, role, sid: session, exp })).toString('base64url');
      return `e30.${claims}.signature`;
    },
    revoke: (session: string) => void revoked.add(session),
    publish: (topic: string, data: unknown, name?: string) =>
      sockets.publisher.publish({ topic, data, ...(name === undefined ? {} : { name }) }),
    async [Symbol.asyncDispose]() {
      await sockets.stop?.();
      await server.stop();
    },
  };
}

export type SocketHouse = Awaited<ReturnType<typeof openSockets>>;
