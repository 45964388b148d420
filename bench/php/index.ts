import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Area, Bench } from '../harness/area.ts';
import { startBunkhouse } from '../harness/bunkhouse.ts';
import { compare } from '../harness/compare.ts';
import type { RunningServer } from '../harness/server.ts';
import { needTools, run } from '../harness/tools.ts';
import { measureFairness } from './fairness.ts';
import { startNginx } from './nginx.ts';
import { type BenchPhpFpm, CHILDREN, startPhpFpm } from './php-fpm.ts';
import { createSite } from './site.ts';

const HELLO = '/php/hello.php?name=bench';
const WIKI = '/php/wiki/doku.php?id=bench';
/** The same page by another spelling, which a rule keeps out of our cache. */
const UNCACHED_WIKI = '/php/wiki/doku.php/bench';
const VERSION_TIMEOUT_MS = 10_000;

/** PHP behind us and behind nginx, each with a php-fpm of its own that is configured alike. */
export const php: Area = {
  name: 'php',
  summary: `Scripts through php-fpm with ${CHILDREN} children, against nginx with and without kept connections, and pages from the cache.`,
  measures: ['hello', 'fairness', 'wiki'],
  async run(bench) {
    await needTools({ nginx: 'nginx-light', 'php-fpm8.2': 'php8.2-fpm' });
    if (bench.wants('wiki') && !existsSync('/usr/share/dokuwiki/doku.php')) {
      throw new Error('needed and not found: dokuwiki (./bunkhouse test installs it)');
    }
    chmodSync(bench.workDir, 0o755);
    const root = await createSite(bench.workDir);
    const pools: BenchPhpFpm[] = [];
    const pool = async (name: string) => {
      const started = await startPhpFpm(join(bench.workDir, `fpm-${name}`));
      pools.push(started);
      return started.socket;
    };
    try {
      const ours = await startBunkhouse(bench, 'bunkhouse', {
        PHP_ROOT: root,
        PHP_DENY: 'nothing',
        PHP_CHILDREN: String(CHILDREN),
        PHP_FPM: `unix:${await pool('bunkhouse')}`,
        CACHE_RULES: `${UNCACHED_WIKI}=off`,
      });
      const plain = await startNginx(bench, { name: 'nginx', root, socket: await pool('nginx') });
      if (bench.wants('hello') || bench.wants('fairness')) {
        const kept = await startNginx(bench, {
          name: 'nginx-keepalive',
          root,
          socket: await pool('nginx-kept'),
          keepAlive: true,
        });
        if (bench.wants('hello')) await measureHello(bench, ours, plain, kept);
        if (bench.wants('fairness')) await measureFairness(bench, ours, [plain, kept]);
      }
      if (bench.wants('wiki')) {
        const caching = await startNginx(bench, {
          name: 'nginx-fastcgi_cache',
          root,
          socket: await pool('nginx-cache'),
          cache: true,
        });
        await measureWiki(bench, ours, caching);
      }
      return await versions();
    } finally {
      await Promise.allSettled(pools.map((each) => each.stop()));
    }
  },
};

async function measureHello(bench: Bench, ours: RunningServer, plain: RunningServer, kept: RunningServer) {
  for (const [connections, atLeast] of [
    [4, 1],
    [32, 0.9],
  ] as const) {
    const contender = (server: RunningServer) => ({ name: server.name, server, load: { path: HELLO, connections } });
    await compare(bench, {
      title: `hello.php, ${connections} connections`,
      ours: contender(ours),
      peers: [{ ...contender(plain), atLeast, cpuAtLeast: 1 / 1.5 }, contender(kept)],
    });
  }
}

async function measureWiki(bench: Bench, ours: RunningServer, caching: RunningServer) {
  const connections = 4;
  const cached = { path: WIKI, connections };
  await compare(bench, {
    title: 'DokuWiki page from the cache',
    ours: { name: 'bunkhouse, cached', server: ours, load: cached },
    peers: [
      { name: 'bunkhouse, not cached', server: ours, load: { path: UNCACHED_WIKI, connections }, atLeast: 20 },
      { name: caching.name, server: caching, load: cached, atLeast: 0.6 },
    ],
  });
}

async function versions(): Promise<string[]> {
  const phpVersion = await run(['php-fpm8.2', '-v'], VERSION_TIMEOUT_MS);
  const nginx = Bun.spawnSync(['nginx', '-v']).stderr.toString();
  return [/PHP [\d.]+/.exec(phpVersion)?.[0] ?? 'PHP', /nginx\/[\d.]+/.exec(nginx)?.[0] ?? 'nginx'];
}
