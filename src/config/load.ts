import { type DatabaseSettings, readDatabases } from './databases.ts';
import { SETTINGS } from './schema.ts';
import { type Setting, ValueFault } from './values.ts';

type ValueOf<S> = S extends Setting<infer Value> ? Value : never;

/** All settings, read and checked. */
export type Config = { readonly [Name in keyof typeof SETTINGS]: ValueOf<(typeof SETTINGS)[Name]> } & {
  /** `main` first, then the named ones. */
  readonly databases: readonly DatabaseSettings[];
  /** The settings that were given (not defaulted), by environment variable. */
  readonly given: ReadonlySet<string>;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** The settings are not usable. The message lists every fault, one a line; no value is repeated. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `the settings have ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

/** Exit code for unusable settings: EX_CONFIG of sysexits.h. */
export const EXIT_CONFIG = 78;

/**
 * Reads every setting of the schema. An empty string counts as unset.
 * @throws ConfigError with all faults at once.
 */
export function loadConfig(env: Environment): Config {
  const faults: string[] = [];
  const given = new Set<string>();
  const values: Record<string, unknown> = {};

  for (const [name, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
    const variable = setting.env.find((candidate) => env[candidate]?.trim());
    const text = variable === undefined ? setting.defaultText : env[variable]?.trim();
    if (variable !== undefined) given.add(variable);
    try {
      values[name] = text === undefined ? undefined : setting.read(text);
    } catch (error) {
      if (!(error instanceof ValueFault)) throw error;
      faults.push(`${variable ?? setting.env[0]} ${error.message}`);
    }
  }

  const databases = readDatabases(env, faults);
  const config = { ...values, databases, given } as unknown as Config;
  if (faults.length === 0) faults.push(...findContradictions(config));
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

/** Faults that only show when settings are looked at together. */
function findContradictions(config: Config): string[] {
  const faults: string[] = [];
  if (config.environment === 'production' && config.secret === undefined) {
    faults.push('BUNKHOUSE_SECRET is required when NODE_ENV=production');
  }
  if ((config.tlsCertificateFile === undefined) !== (config.tlsKeyFile === undefined)) {
    faults.push('TLS_CERT and TLS_KEY are needed together');
  }
  if ((config.adminEmail === undefined) !== (config.adminPassword === undefined)) {
    faults.push('ADMIN_EMAIL and ADMIN_PASSWORD are needed together');
  }
  const pusher = [config.pusherAppId, config.pusherAppKey, config.pusherAppSecret].filter(
    (value) => value !== undefined,
  );
  if (pusher.length === 1 || pusher.length === 2) {
    faults.push('PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET are needed together');
  }
  if (config.trustProxy.length > 1 && config.trustProxy.some((entry) => typeof entry === 'string')) {
    faults.push('TRUST_PROXY cannot mix none or fly with other entries');
  }
  if (config.publicUrl !== undefined && new URL(config.publicUrl).host.length < 4) {
    faults.push('PUBLIC_URL needs a host of at least four characters');
  }
  if ((config.awsAccessKeyId === undefined) !== (config.awsSecretAccessKey === undefined)) {
    faults.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed together');
  }
  if (config.backupPassphrase !== undefined && config.backupRecipient !== undefined) {
    faults.push('BACKUP_PASSPHRASE and BACKUP_RECIPIENT exclude each other');
  }
  return faults;
}
