/** One command of the command line. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
  /** Exit code. A {@link CommandError} becomes its message and exit code 1. */
  run(args: readonly string[]): Promise<number>;
}

/** What the person did cannot work; the message says why, in one line. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
}

/** Prints a list: lines for people, or JSON. */
export function print(asJson: boolean, value: unknown, lines: () => string[]): void {
  process.stdout.write(
    asJson
      ? `${JSON.stringify(value, null, 2)}\n`
      : lines()
          .map((line) => `${line}\n`)
          .join(''),
  );
}

/** Columns padded to the same width. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
