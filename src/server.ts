import { findBackupRisk } from './backup-repository.ts';
import { backupWork } from './backup-work.ts';
import { describeSecrets } from './config/describe.ts';
import type { Config } from './config/load.ts';
import { claimFile } from './db/exclusive-use.ts';
import { databaseLeases } from './db/leases.ts';
import { loadMigrations, migrate } from './db/migrate.ts';
import { openDatabases } from './db/registry.ts';
import { bunPasswordHasher } from './drivers/bun-password-hasher.ts';
import { type BunServer, startBunServer, startPlainServer } from './drivers/bun-server.ts';
import { childImages } from './drivers/child-images.ts';
import { jwtSigner } from './drivers/jwt-signer.ts';
import { pinoLogger } from './drivers/pino-logger.ts';
import { isKnownDead, ownGlobalIdentity } from './drivers/process-identity.ts';
import { loadOrCreateSecret } from './drivers/secret-file.ts';
import { openStaticFile } from './drivers/static-files.ts';
import { createEvents } from './kernel/events.ts';
import { createKeyring } from './kernel/keys.ts';
import { createLifecycle } from './kernel/lifecycle.ts';
import { createMetrics } from './kernel/metrics.ts';
import { createAuth } from './modules/auth/index.ts';
import { isBackupUnderWay } from './modules/backups/creation-lease.ts';
import { createBackups } from './modules/backups/index.ts';
import { applyPendingRestore, isRestorePending, reportSwap } from './modules/backups/pending-restore.ts';
import { createDocs } from './modules/docs/index.ts';
import { createLanding } from './modules/gateway/index.ts';
import { createHealth } from './modules/health/index.ts';
import { createAccessLog } from './modules/logs/access-log.ts';
import { createParse } from './modules/parse/index.ts';
import { createSockets } from './modules/sockets/index.ts';
import { createUploads } from './modules/uploads/index.ts';
import { parserPool } from './parser-pool.ts';
import { databaseLocations, locations, VERSION } from './paths.ts';
import { systemClock } from './ports/clock.ts';
import type { Fetcher } from './ports/fetcher.ts';
import type { Logger } from './ports/logger.ts';
import { openSharedState } from './shared-state.ts';
import { createSite } from './site.ts';
import { openStorage, storageLocation } from './storage.ts';
import { createApp } from './web/app.ts';
import { createClientEnd } from './web/client-address.ts';
import type { RequestContext } from './web/context.ts';
import { createCors } from './web/cors.ts';
import { createGate } from './web/gate.ts';
import { createHostCheck, refusedResponse } from './web/hosts.ts';
import type { Module } from './web/module.ts';
import { createOpening } from './web/opening.ts';

/** The whole house, built and not yet started. */
export interface Server {
  /** Starts everything in order. @returns where it listens and, while there is no admin, the one-time set-up link. */
  start(): Promise<{ readonly url: string; readonly setUpUrl: string | null }>;
  /**
   * Ready says 503; after `noticeMs` no new connection is taken, running requests finish, everything closes. Never rejects.
   */
  stop(noticeMs?: number): Promise<void>;
  /** Takes up changed PHP code and settings of PHP without losing a request. Never rejects. */
  reload(): Promise<void>;
  readonly log: Logger;
  /** The OpenAPI document of what is mounted. */
  document(): Promise<object>;
}

/** How long running requests may take to finish while the server stops. */
const DRAIN_MS = 15_000;
/** How long sockets may take to be told that they should reconnect. */
const SOCKET_DRAIN_MS = 10_000;

/** Picks the drivers, builds the rooms and ties them together. Nothing is opened to the network before `start`. */
export async function createServer(config: Config): Promise<Server> {
  const clock = systemClock;
  const { dataDir, snapshotDir } = locations(config);
  const swap = await applyPendingRestore({ dataDir, claim: claimFile });
  const secret = config.secret ?? loadOrCreateSecret(dataDir);
  const keys = createKeyring(secret);
  const log = await pinoLogger({
    ...describeSecrets(config, secret),
    level: config.logLevel,
    isPretty: isPretty(config),
  });
  reportSwap(swap, log);

  const metrics = createMetrics();
  const events = createEvents((error, name) => log.error({ err: error, event: name }, 'a listener failed'));
  events.on('alerts/raised', (alert) => log.error(alert, 'somebody has to act'));
  const lifecycle = createLifecycle((error, phase) => log.error({ err: error, phase }, 'stopping failed'));
  let isDraining = false;
  let setUpToken: string | null = null;
  let listener: BunServer | null = null;
  const publicUrl = () =>
    config.publicUrl?.replace(/\/+$/, '') ?? listener?.url ?? `http://${bracketed(config.host)}:${config.port}`;

  /** For programs on this machine: without a way around where we answer for a loopback name. */
  const localUrl = () =>
    listener && !config.tlsCertificateFile && isLoopbackOrAny(config.host)
      ? `http://127.0.0.1:${listener.port}`
      : publicUrl();

  const databases = await openDatabases(databaseLocations(config), {
    log,
    onAlert: (alert) => events.emit('alerts/raised', alert),
  });
  const database = databases.main;
  const storage = await openStorage(storageLocation(config), config, log);
  const store = storage.objects;
  const shared = await openSharedState(config, { clock, log, metrics });
  const { limiter, bus } = shared;
  const policies = {
    default: config.rateLimit && { name: 'default', ...config.rateLimit },
    auth: config.rateLimitAuth && { name: 'auth', ...config.rateLimitAuth },
  };
  const issuer = 'bunkhouse';

  const publisherKey = Buffer.from(keys('php-publisher')).toString('base64url');

  const auth = createAuth({
    database,
    clock,
    events,
    log,
    hasher: bunPasswordHasher({ concurrency: Math.max(2, navigator.hardwareConcurrency), maxWaiting: 256 }),
    limiter,
    accountPolicy: policies.auth,
    accessTokens: jwtSigner({ key: keys('access-token'), type: 'at+jwt', issuer, audience: 'bunkhouse/api' }),
    cookieTokens: jwtSigner({
      key: keys('session-cookie'),
      type: 'session+jwt',
      issuer,
      audience: 'bunkhouse/browser',
    }),
    successorKey: keys('refresh-successor'),
    serverKey: config.serverKey,
    publisherKey,
    admin:
      config.adminEmail && config.adminPassword ? { email: config.adminEmail, password: config.adminPassword } : null,
    onSetUpOpen: (token) => {
      setUpToken = token;
    },
  });
  const images = childImages({ log });
  const uploads = createUploads({
    database,
    store,
    clock,
    events,
    log,
    limits: {
      maxFileBytes: config.uploadMaxSize,
      userQuotaBytes: config.userQuota,
      userMaxFiles: config.userMaxFiles,
      types: config.uploadTypes ?? [],
    },
    tus: {
      resumable: storage.resumable,
      holder: ownGlobalIdentity,
      isDead: isKnownDead,
      basePath: () => new URL(publicUrl()).pathname.replace(/\/$/, ''),
    },
    images,
    redirectsDownloads: config.s3Redirect === 'on',
    linkKey: keys('file-link'),
    publicUrl,
    // What waits for the next start names objects that the present state may have let go.
    keepsDeleted: async (tx) => isRestorePending(dataDir) || (await isBackupUnderWay(tx, clock)),
  });
  const clientEnd = createClientEnd(config.trustProxy);
  const sockets = createSockets({
    bus,
    clock,
    events,
    log,
    metrics,
    limiter,
    policy: policies.default,
    identify: auth.identify,
    logins: { version: () => database.version(), findEnded: auth.findEnded },
    clientEnd,
    publicUrl,
    corsOrigins: config.corsOrigins ?? [],
    rules: config.topicRules ?? {},
    topicTokenKey: keys('topic-token'),
    pusher:
      config.pusherAppId && config.pusherAppKey && config.pusherAppSecret
        ? { id: config.pusherAppId, key: config.pusherAppKey, secret: config.pusherAppSecret }
        : null,
    version: VERSION,
  });
  const hostCheck = () =>
    createHostCheck({
      allowed: [...(config.allowedHosts ?? []), ...(config.flyAppName ? [`${config.flyAppName}.fly.dev`] : [])],
      publicUrl: publicUrl(),
    });
  const isServed = ({ name }: Module) => config.servers.some((server) => server === name);
  const { cache, proxy, php, gateway } = createSite(config, {
    dataDir,
    cacheStore: shared.cacheStore,
    memory: shared.memory,
    publisherKey,
    publicUrl,
    localUrl,
    isHostAllowed: (host) => hostCheck()(host),
    isServed,
    clock,
    log,
    metrics,
  });
  const parse = createParse({
    pool: parserPool(log),
    cache: cache.data.scope('parse'),
    metrics,
    clock,
    limiter,
    maxBytes: config.parseMaxSize,
    fetcher: config.parseFetch === 'on' ? await openFetcher() : null,
    readFile: uploads.readFile,
  });
  const risk = findBackupRisk(config);
  if (risk) log.warn({}, risk);
  const leases = databaseLeases(database, clock);
  const backups = createBackups({
    database,
    leases,
    clock,
    events,
    log,
    metrics,
    work: backupWork({ config, secret: { value: secret, isGenerated: config.secret === undefined }, leases, log }),
    schedule: config.backupSchedule,
    canTestRestore: config.backupRecipient === undefined,
    findFile: uploads.findFile,
    putBack: uploads.putBack,
  });
  const health = createHealth({
    checks: [
      ...databases.all.map((each) => ({
        name: `database:${each.name}`,
        isVital: each === database,
        run: () => each.health?.() ?? each.ping().then(() => ({ status: 'ok' as const })),
      })),
      { name: 'storage', isVital: true, run: () => store.check().then(() => ({ status: 'ok' })) },
      ...cache.checks,
      ...sockets.checks,
      ...(isServed(backups) ? backups.checks : []),
      ...(isServed(php) ? php.checks : []),
    ],
    metrics,
    metricsToken: config.metricsToken,
    version: VERSION,
    clock,
    log,
    isDraining: () => isDraining,
  });
  const docs = createDocs({ version: VERSION, openFile: openStaticFile, modules: () => modules });
  const landing = createLanding(VERSION);

  const served: Module[] = [cache, auth, uploads, sockets, backups, parse].filter(isServed);
  // What the others tell goes out over the bus, and they use the cache, whether or not this process has routes of theirs.
  const behind: Module[] = [cache, sockets]
    .filter((module) => !isServed(module))
    .map((module) => ({ ...module, routes: [] }));
  const site = isServed(php) ? (php.isWholeSite ? [gateway, php] : [php, gateway]) : [gateway];
  const modules: Module[] = [health, docs, ...served, ...behind, proxy, ...site, landing];

  const onUnexpected = (error: unknown, { id, route, method }: RequestContext) =>
    log.error({ err: error, requestId: id, route, method }, 'a request failed unexpectedly');
  const gate = createGate({
    app: createApp(
      modules.flatMap((module) => module.routes ?? []),
      onUnexpected,
    ),
    fallbacks: modules.flatMap((module) => module.fallbacks ?? []),
    identify: auth.identify,
    recall: auth.recall,
    clientEnd,
    limiter,
    policies,
    cors: createCors(config.corsOrigins ?? []),
    bodyMaxBytes: config.bodyMaxSize,
    isProduction: config.environment === 'production',
    onAnswer: createAccessLog(log, metrics),
    onUnexpected,
    isDraining: () => isDraining,
    ...(isServed(cache) ? { purge: cache.answerPurge } : {}),
  });

  const opening = createOpening();
  lifecycle.add({ name: 'log', stop: () => log.flush() });
  // First, so that it can be seen to live while it migrates; whatever comes before the last phase waits.
  lifecycle.add({
    name: 'listener',
    start: () => {
      listener = startBunServer({
        hostname: config.host,
        port: config.port,
        tls:
          config.tlsCertificateFile && config.tlsKeyFile
            ? { certificateFile: config.tlsCertificateFile, keyFile: config.tlsKeyFile }
            : undefined,
        isHostAllowed: hostCheck(),
        refuse: refusedResponse,
        handle: gate,
        sockets: isServed(sockets) ? sockets.upgrades : undefined,
        opening,
      });
    },
    // For a start that failed half-way; else nothing is left of it by now.
    stop: () => listener?.stop(),
  });
  lifecycle.add({ name: 'shared rate limits', stop: () => shared.closeLimiter() });
  lifecycle.add({
    name: 'database',
    start: async () => {
      const applied = await migrate(database, loadMigrations(), { snapshotDir });
      if (applied.length > 0) log.info({ migrations: applied }, 'migrated');
    },
    stop: () => databases.close(),
  });
  lifecycle.add({ name: 'shared bus', start: () => shared.start() });
  for (const module of modules) {
    lifecycle.add({
      name: module.name,
      ...(module.start ? { start: () => module.start?.() } : {}),
      ...(module.stop ? { stop: () => module.stop?.() } : {}),
    });
  }
  // Before the modules, which else wait for what the children do.
  lifecycle.add({ name: 'image processes', stop: () => images.stop() });
  if (config.metricsPort !== undefined) {
    const { host: hostname, metricsPort: port } = config;
    let metricsServer: ReturnType<typeof startPlainServer> | null = null;
    lifecycle.add({
      name: 'metrics listener',
      start: () => {
        metricsServer = startPlainServer({ hostname, port, path: '/metrics', render: () => metrics.render() });
      },
      stop: () => metricsServer?.stop(),
    });
  }
  lifecycle.add({
    name: 'requests',
    start: () => opening.end(),
    stop: async () => {
      const late = new Promise<void>((resolve) => setTimeout(resolve, DRAIN_MS).unref());
      await Promise.race([listener?.drain(), late]);
      // What still runs is cut, so that nothing meets a database that is closing.
      await listener?.stop();
    },
    stopTimeoutMs: DRAIN_MS + 2_000,
  });
  // The listener waits for running uploads and open sockets, so they are ended before it.
  lifecycle.add({ name: 'running uploads', stop: () => uploads.drain() });
  lifecycle.add({ name: 'open sockets', stop: () => sockets.drain(), stopTimeoutMs: SOCKET_DRAIN_MS });

  return {
    log,
    document: () => docs.document(),
    async start() {
      await lifecycle.start();
      const url = publicUrl();
      log.info({ url, version: VERSION, servers: modules.filter(isServed).map(({ name }) => name) }, 'listening');
      return { url, setUpUrl: setUpToken === null ? null : `${url}/setup#token=${setUpToken}` };
    },
    reload: () => php.reload().catch((error: unknown) => log.error({ err: error }, 'PHP could not be reloaded')),
    async stop(noticeMs = 0) {
      isDraining = true;
      // So long a load balancer has to see that the server is no longer ready.
      if (noticeMs > 0) await new Promise((resolve) => setTimeout(resolve, noticeMs));
      await lifecycle.stop();
    },
  };
}

/** Loaded where it is on: the runtime's own HTTP client takes a share of every start. */
async function openFetcher(): Promise<Fetcher> {
  const { publicFetcher } = await import('./drivers/public-fetcher.ts');
  return publicFetcher({ userAgent: `bunkhouse/${VERSION}` });
}

/** An IPv6 address as it stands in a URL. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Whether 127.0.0.1 is among the addresses that a server listens on. */
function isLoopbackOrAny(host: string): boolean {
  return ['127.0.0.1', 'localhost', '0.0.0.0', '::'].includes(host);
}

function isPretty(config: Config): boolean {
  return config.environment === 'development' && process.stdout.isTTY === true;
}
