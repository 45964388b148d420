import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { callServer, ServerAway } from './call-server.ts';
import { type Command, CommandError, print, table } from './command.ts';
import { purgeStoredCache, readStoredCache } from './stored-cache.ts';

const USAGE = `Usage: bunkhouse cache stats [--json]
       bunkhouse cache purge [--key K]... [--tag T]... [--prefix P] [--all] [--soft] [--json]
       bunkhouse cache warm [--file LIST] [URL]... [--json]
       bunkhouse cache explain URL [--header 'NAME: VALUE']... [--json]`;

const SHARED = { url: { type: 'string' }, json: { type: 'boolean', default: false } } as const;

export const cacheCommand: Command = {
  summary: 'Look into the cache, purge and warm it, ask why an answer is cached or not',
  help: `${USAGE}

Speaks to the running server with SERVER_KEY (at PUBLIC_URL, HOST and PORT, or --url). Without a server or a key, "stats" and
"purge" work on what CACHE_URL points to, unless that is memory; servers that run then notice a purge within five seconds.
"warm" takes URLs or paths, one a line in LIST ("-" for standard input). "explain" says what would become of a request with
these headers, and why; it stores and changes nothing.`,
  async run([action, ...args]) {
    const act = action !== undefined && Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw new CommandError('say "cache stats", "cache purge", "cache warm" or "cache explain"');
    return act(args);
  },
};

interface Stats {
  readonly driver: string;
  readonly backend: string;
  readonly hitRatio: number | null;
  readonly memory: { readonly entries: number; readonly bytes: number; readonly maxBytes: number };
  readonly namespaces: readonly Readonly<Record<string, string | number | null>>[];
}

interface Explanation {
  readonly outcome: string;
  readonly reason: string;
  readonly details: readonly string[];
}

const COLUMNS = ['namespace', 'hitRatio', 'hits', 'misses', 'stale', 'coalesced', 'entries', 'bytes', 'evictions'];

const ACTIONS: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  async stats(args) {
    const { values } = parseArgs({ args, options: SHARED });
    const config = loadConfig(process.env);
    try {
      const stats = await callServer<Stats>(config, values.url, 'GET', '/api/cache/stats');
      const { driver, backend, memory } = stats;
      print(values.json, stats, () => [
        `${driver}, backend ${backend}, ${memory.entries} entries in ${memory.bytes} of ${memory.maxBytes} bytes`,
        ...table([COLUMNS, ...stats.namespaces.map((space) => COLUMNS.map((name) => String(space[name] ?? '-')))]),
      ]);
    } catch (error) {
      if (!(error instanceof ServerAway)) throw error;
      const rows = await readStoredCache(config, error);
      print(values.json, { namespaces: rows }, () =>
        table([
          ['namespace', 'entries', 'bytes'],
          ...rows.map(({ namespace, entries, bytes }) => [namespace, String(entries), String(bytes)]),
        ]),
      );
    }
    return 0;
  },

  async purge(args) {
    const { values } = parseArgs({
      args,
      options: {
        ...SHARED,
        key: { type: 'string', multiple: true },
        tag: { type: 'string', multiple: true },
        prefix: { type: 'string' },
        all: { type: 'boolean', default: false },
        soft: { type: 'boolean', default: false },
      },
    });
    const { key, tag, prefix, all, soft } = values;
    if (!key && !tag && prefix === undefined && !all)
      throw new CommandError('say what: --key, --tag, --prefix or --all');
    const order = {
      ...(key ? { keys: key } : {}),
      ...(tag ? { tags: tag } : {}),
      ...(prefix === undefined ? {} : { prefix }),
      all,
      soft,
    };
    const config = loadConfig(process.env);
    let answer: { readonly purged: number | null };
    try {
      answer = await callServer(config, values.url, 'POST', '/api/cache/purge', order);
    } catch (error) {
      if (!(error instanceof ServerAway)) throw error;
      answer = { purged: await purgeStoredCache(config, error, order) };
    }
    const { purged } = answer;
    print(values.json, answer, () => [purged === null ? 'purged' : `purged ${purged}`]);
    return 0;
  },

  async warm(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SHARED, file: { type: 'string' } },
    });
    const listed = values.file === undefined ? '' : readFileSync(values.file === '-' ? 0 : values.file, 'utf8');
    const urls = [...positionals, ...listed.split('\n').map((line) => line.trim())].filter((url) => url !== '');
    if (urls.length === 0) throw new CommandError('say which URLs, or name a file with --file');
    const config = loadConfig(process.env);
    let warmed = 0;
    const missed: string[] = [];
    for (let start = 0; start < urls.length; start += WARM_AT_ONCE) {
      const body = { urls: urls.slice(start, start + WARM_AT_ONCE) };
      const report = await callServer<{ warmed: number; missed: string[] }>(
        config,
        values.url,
        'POST',
        '/api/cache/warm',
        body,
      );
      warmed += report.warmed;
      missed.push(...report.missed);
    }
    print(values.json, { warmed, missed }, () => [`warmed ${warmed}`, ...missed.map((url) => `not stored: ${url}`)]);
    return missed.length === 0 ? 0 : 1;
  },

  async explain(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SHARED, header: { type: 'string', multiple: true, default: [] } },
    });
    const [url] = positionals;
    if (url === undefined || positionals.length > 1) throw new CommandError('say which URL, and only one');
    const body = { url, headers: Object.fromEntries(values.header.map(toHeader)) };
    const config = loadConfig(process.env);
    const explanation = await callServer<Explanation>(config, values.url, 'POST', '/api/cache/explain', body);
    const { outcome, reason, details } = explanation;
    print(values.json, explanation, () => [`${outcome}: ${reason}`, ...details.map((detail) => `  ${detail}`)]);
    return 0;
  },
};

function toHeader(text: string): [name: string, value: string] {
  const end = text.indexOf(':');
  if (end < 1) throw new CommandError(`--header takes 'NAME: VALUE'`);
  return [text.slice(0, end).trim(), text.slice(end + 1).trim()];
}

/** URLs in one request, which has to end in time. */
const WARM_AT_ONCE = 50;
