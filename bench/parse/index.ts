import { join } from 'node:path';
import type { Area } from '../harness/area.ts';
import { installPeer } from '../peers/install.ts';
import { measureLatency } from './latency.ts';
import { compareParsers } from './parsers.ts';

/** What pages, stylesheets and programs are read from: packages at these versions. */
const SOURCES = { bootstrap: '5.3.8', jsdom: '31.0.1', typescript: '5.9.3' };

/** Reading sources in a child against the same parsers in the caller's process, and what others notice of it. */
export const parse: Area = {
  name: 'parse',
  summary: 'Sources read in a child against the bare parser in process, and against jsdom.',
  measures: ['parsers', 'latency'],
  async run(bench) {
    const peers = await installPeer('parse', SOURCES);
    if (bench.wants('parsers')) await compareParsers(bench, join(import.meta.dir, '../.peers/parse/node_modules'));
    if (bench.wants('latency')) await measureLatency(bench);
    return peers;
  },
};
