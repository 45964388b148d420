import { and, eq, sql } from 'drizzle-orm';
import { randomToken } from '../kernel/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Database } from '../ports/database.ts';
import type { Leases } from '../ports/leases.ts';
import { jobLeases } from './schema/jobs.ts';

/**
 * Leases as rows of a database that all machines share. Machines' clocks may differ by less than the time a lease lives; the
 * fence is what guards against the rest.
 */
export function databaseLeases(database: Database, clock: Clock): Leases {
  const holder = randomToken(12);
  return {
    async acquire(job, ttlMs) {
      const now = clock.now();
      const row = await database.write((tx) =>
        tx
          .insert(jobLeases)
          .values({ job, holder, expiresAt: now + ttlMs, fence: 1 })
          .onConflictDoUpdate({
            target: jobLeases.job,
            set: { holder, expiresAt: now + ttlMs, fence: sql`${jobLeases.fence} + 1` },
            setWhere: sql`${jobLeases.holder} IS NULL OR ${jobLeases.expiresAt} <= ${now} OR ${jobLeases.expiresAt} > ${now + 2 * ttlMs}`,
          })
          .returning()
          .get(),
      );
      if (!row) return null;
      const own = and(eq(jobLeases.job, job), eq(jobLeases.holder, holder), eq(jobLeases.fence, row.fence));
      return {
        fence: row.fence,
        lastFinishedAt: row.finishedAt,
        async renew() {
          const at = clock.now();
          const renewed = await database.write((tx) =>
            tx
              .update(jobLeases)
              .set({ expiresAt: at + ttlMs })
              .where(and(own, sql`${jobLeases.expiresAt} > ${at}`))
              .returning({ fence: jobLeases.fence })
              .get(),
          );
          return renewed !== undefined;
        },
        async release(isFinished) {
          const finished = isFinished ? { finishedAt: clock.now() } : {};
          await database.write((tx) =>
            tx
              .update(jobLeases)
              .set({ holder: null, ...finished })
              .where(own),
          );
        },
      };
    },
  };
}
