import { secretsOf } from './databases.ts';
import type { Config } from './load.ts';
import { SETTINGS } from './schema.ts';
import type { Setting } from './values.ts';

/** One setting as it is in force, fit to be shown. */
export interface DescribedSetting {
  /** Environment variable. */
  readonly name: string;
  /** Secrets are masked; null when unset. */
  readonly value: unknown;
  readonly source: 'environment' | 'default';
  readonly isPlanned: boolean;
}

const MASK = '********';

/** Every setting in the order of the schema, secrets masked. */
export function describeConfig(config: Config): DescribedSetting[] {
  return entries().map(([name, setting]) => {
    const variable = setting.env.find((candidate) => config.given.has(candidate));
    const value = config[name as keyof Config] as unknown;
    return {
      name: variable ?? setting.env[0],
      value: value === undefined || value === null ? null : setting.isSecret ? MASK : showable(value),
      source: variable === undefined ? 'default' : 'environment',
      isPlanned: setting.isPlanned,
    };
  });
}

/** What must not come out in a log: the secrets in force, and the fields that carry such things. */
export function describeSecrets(config: Config, generatedSecret: string) {
  const secrets = entries()
    .filter(([, setting]) => setting.isSecret)
    .map(([name]) => config[name as keyof Config])
    .filter((value): value is string => typeof value === 'string');
  const redactedFields = ['password', 'token', 'secret', 'authorization', 'cookie', 'access_token', 'refresh_token'];
  return { secrets: [...secrets, ...secretsOf(config.databases), generatedSecret], redactedFields };
}

/** Settings that were given although nothing obeys them yet. */
export function findPlannedSettings(config: Config): string[] {
  return entries()
    .filter(([, setting]) => setting.isPlanned)
    .flatMap(([, setting]) => setting.env.filter((name) => config.given.has(name)));
}

function entries(): [string, Setting][] {
  return Object.entries(SETTINGS) as [string, Setting][];
}

/** Ranges of addresses are objects; as text they read as they were written. */
function showable(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map((item) => (Array.isArray(item) ? `${item[0]}/${item[1]}` : item)).join(',');
  if (typeof value === 'object' && value !== null && 'windowSeconds' in value && 'count' in value) {
    return `${value.count}/${value.windowSeconds}`;
  }
  return typeof value === 'string' ? maskCredentials(value) : value;
}

/** An address may carry a name with a password, or a token in its query. */
function maskCredentials(text: string): string {
  return text
    .replace(/^([a-z+]+:\/\/)[^/@]*@/i, `$1${MASK}@`)
    .replace(/([?&][a-z_]*(?:token|password|key)=)[^&]*/gi, `$1${MASK}`);
}
