import type { SoakRun } from '../soak.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';

/** A short run is a long one in less time: everything happens at least once. */
const CRASH_SECONDS = 30;
const CRASHES_AT_LEAST = 2;
const REDIS_RESTARTS = { long: 2, short: 1 };
const LONG_SECONDS = 60;
const REDIS_AWAY_MS = 1_500;
const LINK_CUTS = 2;
/** What happens last must have time to heal. */
const CALM_SECONDS = 5;

/** Kills servers, Redis and the connections between them by a timetable, until the time is over. */
export async function causeTrouble(
  { seconds, log }: SoakRun,
  cluster: Cluster,
  ledger: Ledger,
): Promise<{ crashes: number; redisRestarts: number; linkCuts: number }> {
  const restarts = seconds > LONG_SECONDS ? REDIS_RESTARTS.long : REDIS_RESTARTS.short;
  const span = Math.max(1, seconds - CALM_SECONDS);
  const crashes = Math.max(CRASHES_AT_LEAST, Math.floor(seconds / CRASH_SECONDS));
  const startedAt = performance.now();

  const crash = async (index: number) => {
    log('kill -9 of a server', { server: index % 2 });
    await cluster.crash(index % 2);
    log('the server is back', { server: index % 2 });
  };
  const restartRedis = async () => {
    log('kill -9 of Redis');
    ledger.disturb();
    await cluster.redis.kill();
    await Bun.sleep(REDIS_AWAY_MS);
    await cluster.redis.start();
    await cluster.reunited();
    ledger.calm();
    log('Redis is back, empty');
  };
  const cutLinks = async () => {
    log('connections to Redis are cut');
    ledger.disturb();
    await cluster.cutLinks();
    await cluster.reunited();
    ledger.calm();
  };

  const timetable = [
    ...spread(crashes, span, 0.5).map((at, index) => ({ at, act: () => crash(index) })),
    ...spread(restarts, span, 0.6).map((at) => ({ at, act: restartRedis })),
    ...spread(LINK_CUTS, span, 0.25).map((at) => ({ at, act: cutLinks })),
  ].sort((a, b) => a.at - b.at);
  for (const { at, act } of timetable) {
    await Bun.sleep(Math.max(0, at * 1_000 - (performance.now() - startedAt)));
    await act();
  }
  await Bun.sleep(Math.max(0, seconds * 1_000 - (performance.now() - startedAt)));
  return { crashes, redisRestarts: restarts, linkCuts: LINK_CUTS };
}

/** So many moments, evenly over the span. @param shift where within its share each stands. */
function spread(count: number, span: number, shift: number): number[] {
  return Array.from({ length: count }, (_, index) => ((index + shift) * span) / count);
}
