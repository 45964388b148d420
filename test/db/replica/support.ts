import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReplicaDatabase, type ReplicaDatabase } from '../../../src/db/replica.ts';
import type { Events } from '../../../src/kernel/events.ts';
import { recordingLog } from '../../support/fakes.ts';

/** A folder for replica files, and replicas that are closed before it is removed. */
export function createReplicas(): {
  /** Opens the replica of that number; the same number is the same file. */
  open(number: number, url: string, options?: { authToken?: string; deadlineMs?: number }): Promise<TestReplica>;
  pathOf(number: number): string;
  [Symbol.asyncDispose](): Promise<void>;
} {
  const root = mkdtempSync(join(tmpdir(), 'bunkhouse-replica-'));
  const opened: ReplicaDatabase[] = [];
  const pathOf = (number: number) => join(root, `${number}`, 'replica.db');
  return {
    pathOf,
    async open(number, url, { authToken, deadlineMs = 600 } = {}) {
      const alerts: Events['alerts/raised'][] = [];
      const log = recordingLog();
      const database = await openReplicaDatabase({
        name: 'main',
        path: pathOf(number),
        remote: { url, authToken },
        log,
        deadlineMs,
        syncIntervalMs: 50,
        onAlert: (alert) => alerts.push(alert),
      });
      opened.push(database);
      return { database, alerts, log };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((database) => database.close()));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export interface TestReplica {
  readonly database: ReplicaDatabase;
  readonly alerts: readonly Events['alerts/raised'][];
  readonly log: ReturnType<typeof recordingLog>;
}
