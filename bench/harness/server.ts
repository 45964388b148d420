import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-ports.ts';
import { innermostChild, listeningProcess, workerOf } from './proc.ts';
import { pinned, SERVER_CORE } from './tools.ts';

/** How a server under test is started. It MUST listen on `PORT` of its environment, on the loopback address. */
export interface ServerSpec {
  /** Names its log file and its faults. */
  readonly name: string;
  readonly command: readonly string[];
  /** The whole environment but for PATH, HOME and PORT, so that the caller's settings do not leak in. */
  readonly env: Readonly<Record<string, string>>;
  /** Answers 2xx as soon as the server can work. */
  readonly readyPath: string;
  /**
   * Whether all its threads share one core, as they do while a client on the other core loads it. Default: true. Where files are
   * written it is false: everybody writes, and we hash and flush, on threads of a pool.
   */
  readonly isPinned?: boolean;
  /** Whether it starts its working process again when that one ends: it is then told to stop itself. Default: false. */
  readonly isSupervisor?: boolean;
}

export interface RunningServer {
  readonly name: string;
  /** Whether it is held to a core; its client then is, too. */
  readonly isPinned: boolean;
  readonly pid: number;
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly origin: string;
  /** From the start of the process to the first 2xx on `readyPath`. */
  readonly startMs: number;
  /** Ends it by SIGTERM, or SIGKILL when that does not help in time. Idempotent. */
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 2;

/** Starts a server and waits until it answers. Its output goes to files below `workDir`; throws with their end when it does not. */
export async function startServer(spec: ServerSpec, workDir: string): Promise<RunningServer> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const logFile = join(workDir, `${spec.name}-${port}.log`);
  const { isPinned = true } = spec;
  const command = isPinned ? pinned(SERVER_CORE, spec.command) : [...spec.command];
  const { PATH = '', HOME = '' } = process.env;
  const startedAt = performance.now();
  const child = Bun.spawn(command, {
    env: { PATH, HOME, ...spec.env, PORT: String(port) },
    stdin: 'ignore',
    stdout: Bun.file(logFile),
    stderr: Bun.file(`${logFile}.err`),
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  let ready: number | null = null;
  const stop = async () => {
    if (hasEnded()) return;
    // A wrapper script would not pass the signal on; it ends with its child. A server may have children of its own by now.
    const pid = spec.isSupervisor ? child.pid : (ready ?? innermostChild(child.pid));
    process.kill(pid, 'SIGTERM');
    const killer = setTimeout(() => process.kill(pid, 'SIGKILL'), STOP_TIMEOUT_MS);
    await child.exited;
    clearTimeout(killer);
  };
  while (!(await answers(origin + spec.readyPath))) {
    const isTooLate = performance.now() - startedAt > READY_TIMEOUT_MS;
    if (hasEnded() || isTooLate) {
      await stop();
      const said = readFileSync(logFile, 'utf8') + readFileSync(`${logFile}.err`, 'utf8');
      throw new Error(`${spec.name} ${isTooLate ? 'was not ready in time' : 'ended'}:\n${said.slice(-2000)}`);
    }
    await Bun.sleep(POLL_MS);
  }
  const startMs = performance.now() - startedAt;
  // A server that is ready may have children of its own; one that supervises has its worker below it.
  const listening = spec.isSupervisor ? workerOf(child.pid) : listeningProcess(child.pid, port);
  ready = listening ?? innermostChild(child.pid);
  return { name: spec.name, isPinned, pid: ready, origin, startMs, stop };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
