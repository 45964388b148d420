import type { HealthCheck, HealthStatus } from '../../kernel/checks.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';

export interface CheckRow extends HealthStatus {
  readonly name: string;
  readonly latencyMs: number;
}

export interface Readiness {
  /** `down` when a vital part is down or the server is shutting down, `degraded` when another one is not well. */
  readonly status: 'ok' | 'degraded' | 'down';
  readonly checks: CheckRow[];
}

/** A check that takes longer counts as down. */
const CHECK_TIMEOUT_MS = 2_000;
/** However often it is asked, the checks run at most once in this time. */
const SHARED_FOR_MS = 1_000;

export function createReadiness(
  checks: readonly HealthCheck[],
  { clock, log, isDraining }: { readonly clock: Clock; readonly log: Logger; readonly isDraining: () => boolean },
): () => Promise<Readiness> {
  let shared: { readonly at: number; readonly result: Promise<Readiness> } | null = null;

  const runAll = async (): Promise<Readiness> => {
    const rows = await Promise.all(checks.map((check) => runCheck(check, log)));
    const isDown = rows.some((row, index) => row.status === 'down' && checks[index]?.isVital);
    const isWell = rows.every(({ status }) => status === 'ok' || status === 'off');
    return { status: isDown ? 'down' : isWell ? 'ok' : 'degraded', checks: rows };
  };

  return async () => {
    const now = clock.now();
    if (!shared || Math.abs(now - shared.at) >= SHARED_FOR_MS) shared = { at: now, result: runAll() };
    const readiness = await shared.result;
    if (!isDraining()) return readiness;
    const row: CheckRow = { name: 'server', status: 'down', latencyMs: 0, detail: 'shutting down' };
    return { status: 'down', checks: [...readiness.checks, row] };
  };
}

async function runCheck(check: HealthCheck, log: Logger): Promise<CheckRow> {
  const startedAt = performance.now();
  const latency = () => Math.round((performance.now() - startedAt) * 100) / 100;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const late = new Promise<HealthStatus>((resolve) => {
      timer = setTimeout(() => resolve({ status: 'down', detail: 'no answer in time' }), CHECK_TIMEOUT_MS);
    });
    const { status, detail } = await Promise.race([check.run(), late]);
    return { name: check.name, status, latencyMs: latency(), ...(detail === undefined ? {} : { detail }) };
  } catch (error) {
    // What went wrong is for the log; the answer is public.
    log.warn({ err: error, check: check.name }, 'a health check failed');
    return { name: check.name, status: 'down', latencyMs: latency() };
  } finally {
    clearTimeout(timer);
  }
}
