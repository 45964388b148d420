import type { HealthCheck } from '../../kernel/checks.ts';
import type { EventBus } from '../../kernel/events.ts';
import type { Metrics } from '../../kernel/metrics.ts';
import type { Bus } from '../../ports/bus.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { RateLimiter, RatePolicy } from '../../ports/rate-limiter.ts';
import type { SocketGroups, SocketHandler, SocketRoutes } from '../../ports/sockets.ts';
import type { GateOptions } from '../../web/gate.ts';
import type { Module } from '../../web/module.ts';
import { createTopicAccess, type TopicAccess } from './access.ts';
import { CentrifugoConnection } from './centrifugo-connection.ts';
import type { Host } from './host.ts';
import { createHub } from './hub.ts';
import { createAuthenticate } from './identity.ts';
import { createInspector } from './inspector.ts';
import { SOCKET_LIMITS, type SocketLimits } from './limits.ts';
import { createLocalAudience } from './local-audience.ts';
import { createLocalPresence } from './local-presence.ts';
import { createLoginWatch, type Logins } from './login-watch.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import type { PusherApp } from './pusher-app.ts';
import { PusherConnection } from './pusher-connection.ts';
import { pusherEncoder } from './pusher-protocol.ts';
import { pusherRoutes } from './pusher-routes.ts';
import { createRegistry } from './registry.ts';
import { socketRoutes } from './routes.ts';
import type { RpcHandler } from './rpc.ts';
import { createRuleTable, type TopicRules } from './rules.ts';
import { obeySignal } from './signals.ts';
import { createSocketMetrics } from './socket-metrics.ts';
import { tellSystemMessages } from './system-messages.ts';
import { createTopicTokens } from './topic-tokens.ts';
import { createOriginCheck, createUpgrades } from './upgrades.ts';

export { socketProblems } from './problems.ts';

export interface SocketsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limiter: RateLimiter;
  /** Limits upgrades, by address. */
  readonly policy: RatePolicy | null;
  readonly identify: GateOptions['identify'];
  /** Where logins are, for those that another process ends without a word over the bus. */
  readonly logins: Logins;
  readonly clientEnd: GateOptions['clientEnd'];
  readonly publicUrl: () => string;
  readonly corsOrigins: readonly string[];
  /** `TOPIC_RULES`. */
  readonly rules: TopicRules;
  /** Signs subscription tokens. */
  readonly topicTokenKey: Uint8Array;
  /** The application that Pusher clients speak of; without one their wire is off. */
  readonly pusher?: PusherApp | null;
  readonly version: string;
  readonly limits?: Partial<SocketLimits>;
  /** Answers calls over connections; without it there are no methods. */
  readonly rpc?: RpcHandler;
}

export interface Sockets extends Module {
  readonly checks: readonly HealthCheck[];
  /** For the driver that listens. */
  readonly upgrades: SocketRoutes;
  readonly access: TopicAccess;
  readonly publisher: Publisher;
  /** Closes every connection with the code for a restart, spread over a few seconds. */
  drain(): Promise<void>;
  /** Looks after deadlines, leases and rates; runs by itself every second once started. */
  tick(): void;
}

const TICK_MS = 1_000;
/** Half of what an ended login may live on. */
const LOGIN_WATCH_MS = 500;

/** Realtime: one core of topics, spoken to in several protocols. */
export function createSockets(options: SocketsOptions): Sockets {
  const { bus, clock, events, log, corsOrigins } = options;
  const limits: SocketLimits = { ...SOCKET_LIMITS, ...options.limits };
  const metrics = createSocketMetrics(options.metrics);
  const onFault = (error: unknown, message: string) => log.error({ err: error }, message);
  let groups: SocketGroups = { publish: () => undefined };

  const registry = createRegistry({ clock, limits });
  const audience = createLocalAudience(bus.audience, (error) => onFault(error, 'the audience could not be told'));
  const hub = createHub({
    bus,
    groups: { publish: (group, frame) => groups.publish(group, frame) },
    findSocket: (id) => registry.find(id)?.socket ?? null,
    maxHeld: limits.maxHeld,
    onFanOut(bytes, members, publishedAt) {
      registry.onSent(bytes);
      metrics.onFanOut(members, publishedAt === null ? null : clock.now() - publishedAt);
    },
    onRecovery: metrics.onRecovery,
    onMembers(encoder, channel, connections) {
      // Only Pusher's API asks.
      if (encoder === pusherEncoder) audience.note(channel, connections);
    },
    onFault: (error) => onFault(error, 'a gap could not be closed yet'),
  });
  const access = createTopicAccess(createRuleTable(options.rules), (error) =>
    onFault(error, 'a permission hook failed'),
  );
  const publisher = createPublisher(bus, limits, metrics.onPublished);
  const presence = createLocalPresence({
    store: bus.presence,
    ttlMs: limits.presenceTtlMs,
    graceMs: limits.presenceGraceMs,
    onFault: (error) => onFault(error, 'presence could not be kept'),
  });
  const watchLogins = createLoginWatch({
    logins: options.logins,
    registry,
    clock,
    onFault: (error) => onFault(error, 'ended logins could not be looked for'),
  });
  const inspector = createInspector(registry, hub, metrics);
  metrics.observe(registry, hub);
  bus.listen({
    onPublication: hub.onPublication,
    onPresence: hub.onPresence,
    onDoubt: hub.onDoubt,
    onSignal: (signal) => obeySignal(registry, signal),
  });

  const host: Host = {
    version: options.version,
    clock,
    limits,
    bus,
    hub,
    audience,
    registry,
    access,
    presence,
    publisher,
    authenticate: createAuthenticate(options.identify, clock),
    topicTokens: createTopicTokens(options.topicTokenKey, clock),
    rpc: options.rpc ?? (async () => null),
    onClosed: metrics.onClosed,
    onFault,
  };
  const wires = new Map<string, (path: string) => SocketHandler>([
    ['/connection/websocket', () => new CentrifugoConnection(host)],
  ]);
  const pusher = options.pusher ?? null;
  if (pusher) wires.set('/app/:key', (path) => new PusherConnection(host, pusher, path.slice('/app/'.length)));
  const upgrades = createUpgrades({
    clientEnd: options.clientEnd,
    limiter: options.limiter,
    policy: options.policy,
    trustsOrigin: createOriginCheck(options.publicUrl, corsOrigins),
    isFull: () => registry.isFull,
    isDraining: () => registry.isDraining,
    wires,
    attach: (attached) => {
      groups = attached;
    },
  });

  const tick = () => {
    const now = clock.now();
    registry.tick();
    presence.tick(now);
    inspector.tick(now);
  };
  let timers: ReturnType<typeof setInterval>[] = [];
  let endSystemMessages: () => void = () => undefined;

  return {
    name: 'sockets',
    routes: [socketRoutes(host, inspector), pusherRoutes(host, pusher)],
    checks: [{ name: 'bus', isVital: false, run: () => bus.ping().then(() => ({ status: 'ok' })) }],
    upgrades,
    access,
    publisher,
    tick,
    start() {
      timers = [setInterval(tick, TICK_MS), setInterval(watchLogins, LOGIN_WATCH_MS)];
      endSystemMessages = tellSystemMessages({
        events,
        publisher,
        signal: (signal) => bus.signal(signal),
        onFault: (error) => onFault(error, 'a system message could not be published'),
      });
    },
    drain: () => registry.drain((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    async stop() {
      for (const timer of timers) clearInterval(timer);
      endSystemMessages();
      await bus.close();
    },
  };
}
