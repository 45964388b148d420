import type { Area } from '../harness/area.ts';
import { measureFanOut } from './fan-out.ts';
import { measureIdle } from './idle.ts';
import { measureLatency } from './latency.ts';
import { measureMachines } from './machines.ts';

/** Realtime: one message to very many, and very many who wait for one. */
export const sockets: Area = {
  name: 'sockets',
  summary: 'Fan-out with history against a raw `Bun.serve`, Socket.IO and PocketBase; idle memory; two processes.',
  measures: ['fan-out', 'latency', 'idle', 'machines'],
  async run(bench) {
    const peers: string[] = [];
    if (bench.wants('fan-out')) peers.push(...(await measureFanOut(bench)));
    if (bench.wants('latency')) peers.push(...(await measureLatency(bench)));
    if (bench.wants('idle')) await measureIdle(bench);
    if (bench.wants('machines')) await measureMachines(bench);
    return peers;
  },
};
