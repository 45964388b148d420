import type { Logger } from '../ports/logger.ts';

/** Commands report by their messages and exit codes. */
export const silentLog: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  line() {},
  child: () => silentLog,
  flush() {},
};
