import pino from 'pino';
import type { Logger } from '../ports/logger.ts';

export interface PinoLoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Coloured lines for a person, instead of JSON. */
  readonly isPretty: boolean;
  /** Texts that must not appear in any line: the secrets of the settings. */
  readonly secrets: readonly string[];
  /** Names of fields whose values never come out, at the first or second level. */
  readonly redactedFields: readonly string[];
}

/** How long a line may wait in memory, so that it costs no write of its own. */
const FLUSH_MS = 250;
/** Characters that may wait. */
const FLUSH_LENGTH = 65_536;

/** JSON lines on standard output (https://getpino.io), written in batches off the request. */
export async function pinoLogger(options: PinoLoggerOptions): Promise<Logger> {
  const sink = Bun.stdout.writer({ highWaterMark: FLUSH_LENGTH });
  let waiting = '';
  const flush = () => {
    const lines = waiting;
    waiting = '';
    try {
      // A closed pipe (`bunkhouse serve | head`) is no reason to end: the lines are lost.
      if (lines !== '') Promise.resolve(sink.write(lines)).catch(() => undefined);
      Promise.resolve(sink.flush()).catch(() => undefined);
    } catch {
      // The same, told at once.
    }
  };
  setInterval(flush, FLUSH_MS).unref();
  const destination = {
    write(line: string) {
      waiting += line;
      if (waiting.length >= FLUSH_LENGTH) flush();
    },
  };
  const stream = options.isPretty
    ? (await import('pino-pretty')).default({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true })
    : destination;
  const scrub = createScrubber(options.secrets);
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${isoNow()}"`,
      formatters: { level: (level) => ({ level }) },
      serializers: { err: (error: unknown) => describeError(error, scrub) },
    },
    { write: (text: string) => stream.write(scrub(text)) },
  );
  const line: Logger['line'] = logger.isLevelEnabled('info')
    ? (members) => stream.write(`{"level":"info","time":"${isoNow()}",${members}}\n`)
    : () => undefined;
  return wrap(logger, { line, flush, redact: createRedactor(new Set(options.redactedFields)) });
}

interface Shared {
  readonly line: Logger['line'];
  readonly flush: () => void;
  readonly redact: (fields: object) => object;
}

function wrap(logger: pino.Logger, shared: Shared): Logger {
  const { redact } = shared;
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    try {
      logger[level](redact(fields), message);
    } catch {
      // A getter threw, or there is no JSON for it: the message still counts.
      logger[level]({ unreadable: true }, message);
    }
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger.child(redact(fields)), shared),
    line: shared.line,
    flush: shared.flush,
  };
}

let isoAt = 0;
let iso = '';

/** The time as ISO 8601; written out once a millisecond. */
function isoNow(): string {
  const now = Date.now();
  if (now !== isoAt) {
    isoAt = now;
    iso = new Date(now).toISOString();
  }
  return iso;
}

/** Pino's own redaction parses its paths anew for every line, which costs more than writing it. */
function createRedactor(names: ReadonlySet<string>): (fields: object) => object {
  const redact = (fields: object, depth: number): object => {
    let result = fields as Record<string, unknown>;
    for (const name in result) {
      const value = result[name];
      let shown = value;
      if (names.has(name)) shown = '[redacted]';
      else if (depth === 0 && typeof value === 'object' && value !== null && !(value instanceof Error))
        shown = redact(value, 1);
      if (shown === value) continue;
      if (result === fields) result = { ...result };
      result[name] = shown;
    }
    return result;
  };
  return (fields) => redact(fields, 0);
}

interface ErrorLine {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorLine;
}

const MAX_CAUSES = 5;

/**
 * An error as it is logged. Drizzle's query errors hold the statement's parameters in message and stack: of those only the
 * cause is told.
 */
function describeError(error: unknown, scrub: (text: string) => string, depth = 0): ErrorLine {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' };
  try {
    return describeKnown(error, scrub, depth);
  } catch {
    return { type: 'Error', message: 'an error that cannot be read' };
  }
}

function describeKnown(error: Error, scrub: (text: string) => string, depth: number): ErrorLine {
  const isQueryError = error.name === 'DrizzleQueryError' || error.constructor.name === 'DrizzleQueryError';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    type: error.constructor.name,
    message: isQueryError ? 'a query failed' : scrub(String(error.message)),
    ...(code === undefined ? {} : { code }),
    ...(isQueryError || !error.stack ? {} : { stack: scrub(String(error.stack)) }),
    ...(error.cause === undefined || depth >= MAX_CAUSES
      ? {}
      : { cause: describeError(error.cause, scrub, depth + 1) }),
  };
}

function createScrubber(secrets: readonly string[]): (text: string) => string {
  const known = secrets.filter((secret) => secret.length >= 8);
  return (text) => known.reduce((result, secret) => result.replaceAll(secret, '[redacted]'), text);
}
