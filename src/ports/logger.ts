/**
 * Structured logging. Fields are JSON values; values of fields named in the settings' redaction list never come out.
 * Implementations MUST NOT throw and MUST NOT wait for the disk.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * An `info` line that is written on every request, given as the members of a JSON object, commas between them. Nothing in it is
   * looked at or redacted.
   */
  line(members: string): void;
  /** A logger whose lines all carry `fields`. */
  child(fields: object): Logger;
  /** Writes out what is buffered. */
  flush(): void;
}

/** For those who report in other ways, as commands do by their messages and exit codes. */
export const silentLog: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  line() {},
  child: () => silentLog,
  flush() {},
};
