import { claimFile } from '../../src/db/exclusive-use.ts';
import { applyPendingRestore } from '../../src/modules/backups/pending-restore.ts';

/**
 * Puts a pending restore in place and prints each step; with a number, the process is killed before that step as by `kill -9`.
 * Usage: swap-process.ts DATA_DIR [STEP]
 */
const [dataDir = '', deathAt] = process.argv.slice(2);
let step = 0;
await applyPendingRestore({
  dataDir,
  claim: claimFile,
  patienceMs: 0,
  onStep: (name) => {
    if (String(step++) === deathAt) process.kill(process.pid, 'SIGKILL');
    process.stdout.write(`${name}\n`);
  },
});
