import { join } from 'node:path';
import { cpuSeconds, machineCpuSeconds } from './proc.ts';
import type { RunningServer } from './server.ts';
import { CLIENT_CORE, pinned, runCounted } from './tools.ts';

/** One kind of request that is put to a server again and again. */
export interface Load {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent by POST when given: the file with the body. */
  readonly bodyFile?: string;
  readonly connections: number;
}

/** What one load of one server came to. */
export interface Sample {
  readonly requestsPerSecond: number;
  /** CPU time of the server's process for one request: shows a difference even where the client was the limit. */
  readonly cpuMicros: number;
  /** Share of one core that the server used; well below 1 means that something else was the limit. */
  readonly busy: number;
  readonly p99Ms: number;
  /** Cores that neither the server nor the client used but somebody else did: above 0.1 or so the figures are noisy. */
  readonly elsewhere: number;
}

interface WrkReport {
  requests: number;
  durationMicros: number;
  p99Micros: number;
  refused: number;
  broken: number;
}

const SCRIPT = join(import.meta.dir, 'load.lua');
const TIMEOUT_SECONDS = 10;
const SLACK_MS = 20_000;

/** Loads a server from one thread of wrk, on a core of its own when the server has one. Throws when a single answer was no success: a fast refusal is no speed. */
export async function loadServer(server: RunningServer, load: Load, seconds: number): Promise<Sample> {
  const headers = Object.entries(load.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const limits = ['-t1', `-c${load.connections}`, `-d${seconds}s`, '--timeout', `${TIMEOUT_SECONDS}s`];
  const command = ['wrk', ...limits, '--latency', '-s', SCRIPT, ...headers];
  const body = load.bodyFile === undefined ? [] : ['--', load.bodyFile];
  const cpuBefore = cpuSeconds(server.pid);
  const machineBefore = machineCpuSeconds();
  const whole = [...command, server.origin + load.path, ...body];
  const client = await runCounted(server.isPinned ? pinned(CLIENT_CORE, whole) : whole, seconds * 1000 + SLACK_MS);
  const cpu = cpuSeconds(server.pid) - cpuBefore;
  const others = machineCpuSeconds() - machineBefore - cpu - client.cpuSeconds;
  const report = JSON.parse(client.stdout.trim().split('\n').at(-1) ?? '') as WrkReport;
  if (report.requests === 0) throw new Error(`${server.name} answered nothing on ${load.path}`);
  if (report.refused > 0 || report.broken > 0) {
    throw new Error(
      `${server.name} on ${load.path}: ${report.refused} answers were failures, ${report.broken} connections broke`,
    );
  }
  const elapsed = report.durationMicros / 1e6;
  return {
    requestsPerSecond: report.requests / elapsed,
    cpuMicros: (cpu * 1e6) / report.requests,
    busy: cpu / elapsed,
    p99Ms: report.p99Micros / 1000,
    elsewhere: Math.max(0, others / elapsed),
  };
}
