import type { Logger } from '../ports/logger.ts';

export interface PhpFpmLogEvents {
  onReloading(): void;
  onReady(): void;
  /** A child was ended by a signal, a crash among them. */
  onChildKilled(): void;
}

/**
 * Reads php-fpm's own log from its standard error: lines go into ours at their level, and some of them say what it is doing. What
 * scripts write to their error log comes over the connection of their request, with its id, and is left out here.
 */
export async function followPhpFpmLog(
  stream: ReadableStream<Uint8Array>,
  log: Logger,
  events: PhpFpmLogEvents,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  /** The last line was a script's own, and its trace may follow. */
  let isInMessage = false;
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    // A line without an end is cut rather than kept.
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      isInMessage = SCRIPT_MESSAGE.test(line) || (isInMessage && TRACE.test(line));
      if (!isInMessage) takeLine(line, log, events);
    }
  }
}

const MAX_LINE = 8_192;
/** What `error_log` wrote, and what follows a fatal error. */
const SCRIPT_MESSAGE = /PHP message: /;
const TRACE = /^(?:Stack trace:|#\d+ | {2}thrown in |PHP {3})/;

function takeLine(text: string, log: Logger, events: PhpFpmLogEvents): void {
  const line = text.slice(0, MAX_LINE);
  if (line.trim() === '') return;
  const match = /^\[[^\]]*\] (DEBUG|NOTICE|WARNING|ERROR|ALERT): (.*)$/.exec(line);
  if (!match) {
    log.warn({ phpFpm: line }, 'PHP wrote to standard error');
    return;
  }
  const [, level, message = ''] = match;
  if (/reloading in progress/i.test(message)) events.onReloading();
  if (/ready to handle connections/i.test(message)) events.onReady();
  if (/exited on signal/.test(message)) events.onChildKilled();
  if (level === 'NOTICE' || level === 'DEBUG') log.debug({ phpFpm: message }, 'php-fpm');
  else if (level === 'WARNING') log.warn({ phpFpm: message }, 'php-fpm warns');
  else log.error({ phpFpm: message }, 'php-fpm has a fault');
}
