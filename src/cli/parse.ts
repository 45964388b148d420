import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { memoryRateLimiter } from '../drivers/memory-rate-limiter.ts';
import { publicFetcher } from '../drivers/public-fetcher.ts';
import { createParseService, LANGUAGES, type Language } from '../modules/parse/index.ts';
import { parserPool } from '../parser-pool.ts';
import { VERSION } from '../paths.ts';
import { systemClock } from '../ports/clock.ts';
import { type Command, CommandError } from './command.ts';
import { silentLog } from './silent-log.ts';

export const parseCommand: Command = {
  summary: 'Look at HTML, CSS or JavaScript',
  help: `Usage: bunkhouse parse html|css|js FILE|URL [--view VIEW] [--option NAME=VALUE ...] [--json]

Prints what the view shows; FILE "-" is the standard input. Without --json a result that is text, code or a page is printed as
such, everything else as JSON. docs/parse.md lists views and options.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        view: { type: 'string' },
        option: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
      },
    });
    const [language, place] = positionals;
    if (!isLanguage(language) || place === undefined || positionals.length > 2) {
      throw new CommandError('say "parse html|css|js FILE|URL"');
    }
    const config = loadConfig(process.env);
    const source = await locate(place, config.parseMaxSize);
    const pool = parserPool(silentLog);
    const service = createParseService({
      pool,
      cache: null,
      clock: systemClock,
      limiter: memoryRateLimiter(systemClock),
      maxBytes: config.parseMaxSize,
      fetcher: null,
      readFile: async () => null,
    });
    try {
      const texts = { ...readOptions(values.option), ...(values.view === undefined ? {} : { view: values.view }) };
      const { members } = await service.readTexts(language, source, texts, 'command line');
      const answer = JSON.parse(`{${new TextDecoder().decode(members)}}`) as Answer;
      for (const { message, line, column } of answer.warnings) {
        process.stderr.write(`${line === undefined ? '' : `${line}:${column}: `}${message}\n`);
      }
      process.stdout.write(`${values.json ? JSON.stringify(answer, null, 2) : plain(answer.result)}\n`);
    } finally {
      await pool.stop();
    }
    return 0;
  },
};

interface Answer {
  readonly result: unknown;
  readonly warnings: readonly { readonly message: string; readonly line?: number; readonly column?: number }[];
}

function isLanguage(word: string | undefined): word is Language {
  return (LANGUAGES as readonly (string | undefined)[]).includes(word);
}

/** The person at the keyboard asks for the address, so it is fetched whatever PARSE_FETCH says; from the public internet alone. */
async function locate(place: string, maxBytes: number) {
  if (/^https?:\/\//i.test(place))
    return publicFetcher({ userAgent: `bunkhouse/${VERSION}` }).fetch(place, { maxBytes });
  const file = place === '-' ? Bun.stdin : Bun.file(place);
  try {
    return { bytes: new Uint8Array(await file.arrayBuffer()), contentType: null, url: null };
  } catch {
    throw new CommandError('the file cannot be read');
  }
}

function readOptions(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new CommandError('an option is given as NAME=VALUE');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** What a person wants to see of a result. */
function plain(result: unknown): string {
  if (typeof result === 'string') return result;
  const { code, html, text, content } = (result ?? {}) as Record<string, unknown>;
  const shown = [code, html, text, content].find((each) => typeof each === 'string');
  return (shown as string | undefined) ?? JSON.stringify(result, null, 2);
}
