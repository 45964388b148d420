import type { Clock } from '../../src/ports/clock.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { PasswordHasher } from '../../src/ports/password-hasher.ts';

/** A clock that only moves when it is turned. */
export interface FakeClock extends Clock {
  turn(ms: number): void;
}

/** @param start milliseconds since the epoch; the present unless said. */
export function fakeClock(start: number = Date.now()): FakeClock {
  let now = start;
  return {
    now: () => now,
    turn(ms) {
      now += ms;
    },
  };
}

/** Hashes that cost nothing: the password, marked. `outdated$` ones count as made with other parameters. */
export function plainHasher(): PasswordHasher {
  return {
    hash: async (password) => `plain$${password}`,
    verify: async (password, hash) => hash === `plain$${password}` || hash === `outdated$${password}`,
    isOutdated: (hash) => !hash.startsWith('plain$'),
  };
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Keeps what it is told. */
export function recordingLog(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine['level']) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message });
  const log = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    line: (members: string) =>
      void lines.push({ level: 'info', fields: JSON.parse(`{${members}}`) as Record<string, unknown>, message: '' }),
    child: () => log,
    flush: () => undefined,
  };
  return log;
}
