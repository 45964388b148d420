import { openRemoteDatabase } from '../../src/db/remote.ts';
import { sqldProgram, startSqld } from '../../test/support/sqld.ts';
import { startTcpProxy } from '../../test/support/tcp-proxy.ts';
import type { Bench } from '../harness/area.ts';
import { quiet, seed } from './contenders.ts';
import { compareInProcess } from './measure.ts';

const ROUND_TRIP_MS = 80;

/** Reads of a replica whose primary is far away. */
export async function measureReplica(bench: Bench): Promise<void> {
  if (sqldProgram === null) {
    bench.report.note('The replica was not measured: sqld is not installed.');
    return;
  }
  await using sqld = await startSqld();
  const primary = openRemoteDatabase({ name: 'main', url: sqld.url(), log: quiet });
  await seed(primary);
  await primary.close();
  await using network = await startTcpProxy({ targetPort: sqld.port, delayMs: ROUND_TRIP_MS / 2 });
  await compareInProcess(bench, {
    title: `Point read of a replica, ${ROUND_TRIP_MS} ms of round trip to the primary,`,
    task: 'read',
    ours: { name: 'replica', contender: 'replica', url: network.url },
    peers: [
      { name: 'the embedded database', contender: 'bunkhouse', atLeast: 0.8 },
      { name: 'the same primary without a replica', contender: 'remote', url: network.url },
    ],
  });
}
