import { parseAddressRange } from '../kernel/address-range.ts';
import { ageRecipient } from './age-recipient.ts';
import { backupKeep } from './backup-keep.ts';
import { cacheUrl } from './cache-url.ts';
import { cron } from './cron.ts';
import { phpFpm } from './php-fpm.ts';
import { readCacheRule, readProxyRoute } from './proxy-routes.ts';
import { bucketName, storageUrl } from './storage-url.ts';
import { topicRules } from './topic-rules.ts';
import { integer, list, oneOf, path, rate, size, text, url, ValueFault } from './values.ts';

/** The servers that one process may mount; `SERVERS` picks among them. */
export const SERVER_NAMES = [
  'auth',
  'sockets',
  'uploads',
  'backups',
  'php',
  'logs',
  'cache',
  'parse',
  'calls',
] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

/**
 * Every setting there is, once: its environment variable, kind, limits, default, description and whether it is secret.
 * `.env.example`, the table in the README, `bunkhouse config` and the log's redaction list come from here.
 */
export const SETTINGS = {
  environment: oneOf({
    env: 'NODE_ENV',
    choices: ['development', 'staging', 'production', 'test'],
    default: 'development',
    description: 'In `production`, BUNKHOUSE_SECRET must be set, logs are JSON and HSTS is sent.',
  }),
  port: integer({
    env: 'PORT',
    min: 0,
    max: 65_535,
    default: '3000',
    description: 'Port to listen on; 0 takes a free one.',
  }),
  host: text({ env: 'HOST', default: '127.0.0.1', description: 'Address to listen on; 0.0.0.0 for every interface.' }),
  tlsCertificateFile: path({
    env: 'TLS_CERT',
    description: 'PEM file with the certificate chain, for HTTPS without a proxy.',
  }),
  tlsKeyFile: path({ env: 'TLS_KEY', description: 'PEM file with the private key of TLS_CERT.' }),
  publicUrl: url({
    env: 'PUBLIC_URL',
    schemes: ['http:', 'https:'],
    description: 'Where clients reach this server; links are made from it. Default: the listen address.',
  }),
  allowedHosts: list({
    env: 'ALLOWED_HOSTS',
    item: readHost,
    description: 'Further `Host` values to answer for, beside loopback names and the host of PUBLIC_URL; `*` for any.',
  }),
  flyAppName: text({ env: 'FLY_APP_NAME', description: 'Set by Fly; its `.fly.dev` name becomes an allowed host.' }),
  dataDir: path({
    env: 'DATA_DIR',
    default: './data',
    description: 'Everything embedded lives below it; delete it to start afresh.',
  }),
  secret: text({
    env: 'BUNKHOUSE_SECRET',
    minLength: 32,
    isSecret: true,
    description:
      'Signs and seals; at least 32 characters. Generated into DATA_DIR unless NODE_ENV=production, which needs it set.',
  }),
  serverKey: text({
    env: 'SERVER_KEY',
    minLength: 32,
    isSecret: true,
    description: 'Bearer key with admin rights for other servers; at least 32 characters.',
  }),
  adminEmail: text({
    env: 'ADMIN_EMAIL',
    pattern: /^[^\s@]{1,64}@[^\s@]+$/,
    description: 'First admin, created once. Without it the first start prints a set-up link.',
  }),
  adminPassword: text({ env: 'ADMIN_PASSWORD', minLength: 8, isSecret: true, description: 'Password of ADMIN_EMAIL.' }),
  servers: list({
    env: 'SERVERS',
    item: readServerName,
    default: SERVER_NAMES.join(','),
    description: 'Whose routes this process mounts. Tokens are verified in every process.',
  }),
  databaseUrl: text({
    env: ['DATABASE_URL', 'TURSO_DATABASE_URL'],
    description:
      'Main database: `file:PATH`, `:memory:`, or remote (`http:`, `https:`, `ws:`, `wss:`, `libsql:`). Default: ' +
      '`file:DATA_DIR/main.db`. `DATABASE_<NAME>_URL` adds a named one, with the same suffixes as below.',
  }),
  databaseAuthToken: text({
    env: ['DATABASE_AUTH_TOKEN', 'TURSO_AUTH_TOKEN'],
    isSecret: true,
    description: 'Token of a remote database.',
  }),
  databaseReplicaPath: path({
    env: 'DATABASE_REPLICA_PATH',
    description: 'File of an embedded replica of a remote database: reads are local, writes go to the primary.',
  }),
  databaseEngine: text({
    env: 'DATABASE_ENGINE',
    description: 'Engine of a `file:` database: `sqlite` (default), or `libsql` for vectors and encryption.',
  }),
  databaseEncryptionKey: text({
    env: 'DATABASE_ENCRYPTION_KEY',
    isSecret: true,
    description: 'Encrypts a `file:` database; needs DATABASE_ENGINE=libsql.',
  }),
  storageUrl: storageUrl({
    env: 'STORAGE_URL',
    description:
      'Where files are kept: `file:PATH`, or `s3://BUCKET[/PREFIX]` with the AWS settings below. Default: `file:DATA_DIR/objects`.',
  }),
  bucketName: bucketName({
    env: 'BUCKET_NAME',
    description: 'S3 bucket for files, when STORAGE_URL is not set.',
  }),
  awsAccessKeyId: text({
    env: 'AWS_ACCESS_KEY_ID',
    description:
      "S3 access key. Without it the places are searched where AWS's own tools look, such as the role of the machine.",
  }),
  awsSecretAccessKey: text({
    env: 'AWS_SECRET_ACCESS_KEY',
    isSecret: true,
    description: 'Secret of AWS_ACCESS_KEY_ID.',
  }),
  awsRegion: text({ env: 'AWS_REGION', description: 'Region of the bucket; `us-east-1` when unset, `auto` for R2.' }),
  awsEndpoint: url({
    env: 'AWS_ENDPOINT_URL_S3',
    schemes: ['http:', 'https:'],
    description: 'Where an S3-compatible store answers; AWS when unset.',
  }),
  s3ForcePathStyle: oneOf({
    env: 'S3_FORCE_PATH_STYLE',
    choices: ['true', 'false'],
    default: 'false',
    description: 'The bucket stands in the path instead of the host, as most self-hosted stores want it.',
  }),
  cacheUrl: cacheUrl({
    env: 'CACHE_URL',
    default: 'memory:',
    description:
      'Where the cache lies behind memory: `memory:` (nowhere), `fs:PATH`, `redis://HOST:PORT`, or any unstorage driver ' +
      '(`NAME:?option=value`). `?memory=64MiB` sets how much of it is held in memory, `?disk=1GiB` bounds `fs:`.',
  }),
  proxyRoutes: list({
    env: 'PROXY_ROUTES',
    item: readProxyRoute,
    description:
      'Upstreams: comma list `PREFIX=ORIGIN` (`/shop=http://127.0.0.1:8080`). Requests below PREFIX go there, path unchanged, through ' +
      'the HTTP cache. The same PREFIX several times: its origins share the work.',
  }),
  cacheRules: list({
    env: 'CACHE_RULES',
    item: readCacheRule,
    description:
      'How the HTTP cache treats paths: comma list `PREFIX=MODE` with `off`, `respect` (default: as the answer says) or ' +
      '`force(SECONDS)`; the longest prefix counts.',
  }),
  publicDir: path({ env: 'PUBLIC_DIR', default: './public', description: 'Files served as they are at `/`.' }),
  rateLimit: rate({
    env: 'RATE_LIMIT',
    default: '1200/60',
    description: 'Every route, by caller (by address before the caller is known); `COUNT/SECONDS` or `off`.',
  }),
  rateLimitAuth: rate({
    env: 'RATE_LIMIT_AUTH',
    default: '30/60',
    description: 'Sign-in routes, by address and by account.',
  }),
  uploadMaxSize: size({ env: 'UPLOAD_MAX_SIZE', default: '5GiB', description: 'Largest single file; 0 for no limit.' }),
  userQuota: size({
    env: 'USER_QUOTA',
    default: '50GiB',
    description: 'What one user may keep in all; 0 for no limit.',
  }),
  userMaxFiles: integer({
    env: 'USER_MAX_FILES',
    min: 0,
    max: 1_000_000_000,
    default: '0',
    description: 'How many files one user may keep; 0 for no limit.',
  }),
  uploadTypes: list({
    env: 'UPLOAD_TYPES',
    item: readMediaRange,
    description:
      'Types of content that are accepted, such as `image/*,application/pdf`, judged by the bytes. Default: any.',
  }),
  s3Redirect: oneOf({
    env: 'S3_REDIRECT',
    choices: ['on', 'off'],
    default: 'off',
    description: 'Downloads of files in S3 are redirected to a presigned URL of the bucket, good for five minutes.',
  }),
  bodyMaxSize: size({ env: 'BODY_MAX_SIZE', default: '1MiB', description: 'Largest JSON or form body.' }),
  redisUrl: text({
    env: 'REDIS_URL',
    isSecret: true,
    description:
      'Redis (6.2 or later) or Valkey that the realtime servers of several machines share: `redis://HOST:PORT`.',
  }),
  topicRules: topicRules({
    env: 'TOPIC_RULES',
    description:
      'Who may use which realtime topics: JSON `{"pattern": {"subscribe": R, "publish": R, "presence": R, "history": R}}` with ' +
      'R = `anyone`, `user`, `admin` or `none`; a pattern may end with `*`, the longest wins.',
  }),
  pusherAppId: text({ env: 'PUSHER_APP_ID', description: 'Application that Pusher clients and servers may use.' }),
  pusherAppKey: text({ env: 'PUSHER_APP_KEY', description: 'Public key of PUSHER_APP_ID.' }),
  pusherAppSecret: text({ env: 'PUSHER_APP_SECRET', isSecret: true, description: 'Signs for PUSHER_APP_ID.' }),
  trustProxy: list({
    env: 'TRUST_PROXY',
    item: readTrust,
    default: 'none',
    description: 'Whose forwarding headers are believed: `none`, `fly`, or a comma list of CIDR ranges.',
  }),
  metricsToken: text({
    env: 'METRICS_TOKEN',
    minLength: 16,
    isSecret: true,
    description: 'Bearer token that may read `/metrics`, beside admins.',
  }),
  metricsPort: integer({
    env: 'METRICS_PORT',
    min: 0,
    max: 65_535,
    description: 'A listener of its own on HOST that serves `/metrics` and needs no token; keep it private.',
  }),
  corsOrigins: list({
    env: 'CORS_ORIGINS',
    item: readOrigin,
    description:
      'Origins of web pages that may call the API across sites, comma separated; `*` for any (without cookies).',
  }),
  logLevel: oneOf({
    env: 'LOG_LEVEL',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    description: 'Least serious level that is written.',
  }),
  phpRoot: path({ env: 'PHP_ROOT', default: './php', description: 'Document root of PHP.' }),
  phpMount: text({
    env: 'PHP_MOUNT',
    default: '/php',
    pattern: /^\/$|^(?:\/[\w.~-]+)+\/?$/,
    description: 'Path under which PHP answers; `/` for the whole site.',
  }),
  phpFpm: phpFpm({
    env: 'PHP_FPM',
    default: 'spawn',
    description:
      'How php-fpm is reached: `spawn` starts one, `unix:/PATH` and `tcp://HOST:PORT` use one that is there.',
  }),
  phpMode: oneOf({
    env: 'PHP_MODE',
    choices: ['files', 'front-controller', 'single-script'],
    default: 'files',
    description: 'What runs: any `.php` file, only PHP_SCRIPT beside static files, or only PHP_SCRIPT.',
  }),
  phpScript: text({
    env: 'PHP_SCRIPT',
    pattern: /^(?!\/|.*\.\.)[\w./-]+\.php$/,
    description:
      'The script of a front controller, below PHP_ROOT. Default: `index.php`. Set in mode `files`, it also answers for paths that ' +
      'are nothing on disk.',
  }),
  phpChildren: integer({
    env: 'PHP_CHILDREN',
    min: 1,
    max: 1024,
    default: '4',
    description: 'PHP processes: how many scripts run at once.',
  }),
  phpFollow: list({
    env: 'PHP_FOLLOW',
    description: 'Directories that symbolic links below PHP_ROOT may lead to, beside itself.',
  }),
  phpSendfileRoot: path({
    env: 'PHP_SENDFILE_ROOT',
    description: 'The directory that scripts may have files sent from by `X-Accel-Redirect` or `X-Sendfile`.',
  }),
  phpDeny: list({
    env: 'PHP_DENY',
    default: 'bin,conf,data,inc,node_modules,vendor',
    description: 'Prefixes below PHP_ROOT that are never served. Names with a leading dot never are.',
  }),

  backupUrl: storageUrl({
    env: 'BACKUP_URL',
    default: 'file:./backups',
    description: 'Where backups go: `file:PATH`, or `s3://BUCKET[/PREFIX]` with the AWS settings above.',
  }),
  backupSchedule: cron({
    env: 'BACKUP_SCHEDULE',
    default: '0 3 * * *',
    description:
      'When the system is backed up: a cron expression in the time zone of the server, or `off`. A time at which no server ran is made up for.',
  }),
  backupKeep: backupKeep({
    env: 'BACKUP_KEEP',
    default: 'last=3,daily=7,weekly=4,monthly=6',
    description:
      'Which backups are kept: so many of the `last`, and the latest one of so many hours (`hourly`), days (`daily`), `weekly`, ' +
      '`monthly`, `yearly`. The newest verified one always is, and so are those that users made for themselves.',
  }),
  backupPassphrase: text({
    env: 'BACKUP_PASSPHRASE',
    minLength: 8,
    isSecret: true,
    description: 'Encrypts backups; at least 8 characters. Whoever loses it loses the backups.',
  }),
  backupRecipient: ageRecipient({
    env: 'BACKUP_RECIPIENT',
    description:
      'Encrypts backups to this public key of age (`age1…`), so that this server cannot read them itself. Not beside BACKUP_PASSPHRASE.',
  }),
  backupMaxRate: size({
    env: 'BACKUP_MAX_RATE',
    default: '0',
    description: 'Bytes of files that a backup reads in a second; 0 for as many as the disk gives.',
  }),
  pluginsDir: path({ env: 'PLUGINS_DIR', default: './plugins', isPlanned: true, description: 'Folder of plugins.' }),
  plugins: list({ env: 'PLUGINS', isPlanned: true, description: 'Plugins from npm, by package name.' }),
  callDir: path({ env: 'CALL_DIR', default: './call', isPlanned: true, description: 'Folder of call handlers.' }),
  parseFetch: oneOf({
    env: 'PARSE_FETCH',
    choices: ['on', 'off'],
    default: 'off',
    description: 'Whether `/api/parse` may fetch public URLs.',
  }),
  parseMaxSize: size({
    env: 'PARSE_MAX_SIZE',
    default: '16MiB',
    description: 'Largest source `/api/parse` takes.',
  }),
  logDir: path({ env: 'LOG_DIR', isPlanned: true, description: 'Where logs are kept as files.' }),
  alertWebhookUrl: text({ env: 'ALERT_WEBHOOK_URL', isSecret: true, isPlanned: true, description: 'Told of alerts.' }),
  smtpUrl: text({ env: 'SMTP_URL', isSecret: true, isPlanned: true, description: 'Mail server.' }),
} as const;

function readHost(value: string): string {
  if (value === '*') return value;
  if (!/^[a-z0-9.-]{4,253}(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i.test(value)) {
    throw new ValueFault('must be a comma list of host names of at least four characters, or *');
  }
  return value.toLowerCase();
}

function readServerName(value: string): ServerName {
  if (!(SERVER_NAMES as readonly string[]).includes(value)) {
    throw new ValueFault(`must be a comma list of ${SERVER_NAMES.join(', ')}`);
  }
  return value as ServerName;
}

function readTrust(value: string) {
  if (value === 'none' || value === 'fly') return value;
  const range = parseAddressRange(value);
  if (!range) throw new ValueFault('must be none, fly, or a comma list of addresses or CIDR ranges');
  return range;
}

function readMediaRange(value: string): string {
  if (!/^[\w.+-]+\/(?:\*|[\w.+-]+)$/.test(value)) {
    throw new ValueFault('must be a comma list of media types such as image/*,application/pdf');
  }
  return value.toLowerCase();
}

function readOrigin(value: string): string {
  if (value === '*') return value;
  const parsed = URL.parse(value);
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.origin !== value.replace(/\/$/, '')) {
    throw new ValueFault('must be a comma list of origins such as https://example.org, or *');
  }
  return parsed.origin;
}
