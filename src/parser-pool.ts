import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { bunChildPool } from './drivers/bun-child-pool.ts';
import type { ParseJob, ParseResult } from './modules/parse/index.ts';
import type { Logger } from './ports/logger.ts';

/** What one child may have in memory: a large page takes some thirty times its size, a program that is minified a hundred times. */
const MEMORY_BYTES = 1280 * 1024 * 1024;

/** The children that read sources; the server and the command line use the same. */
export function parserPool(log: Logger) {
  return bunChildPool<ParseJob, ParseResult>({
    name: 'parse',
    entry: join(import.meta.dirname, 'workers/parse.ts'),
    // One processor stays with the server.
    size: Math.max(1, availableParallelism() - 1),
    maxWaiting: 100,
    maxMemoryBytes: MEMORY_BYTES,
    keepsMemory: true,
    log,
  });
}
