/**
 * Who may run a job: of any number of machines, one at a time. A lease ends by itself, so the job of a machine that died is
 * taken over; the fence then tells late writes of the old holder from those of the new one.
 */
export interface Leases {
  /** Takes the lease of a job for so long; `null` while somebody else holds it. */
  acquire(job: string, ttlMs: number): Promise<Lease | null>;
}

export interface Lease {
  /** Larger than that of every earlier holder. Work that must not be done twice checks it in its own transaction. */
  readonly fence: number;
  /** When the job last finished, on any machine; milliseconds since the epoch. */
  readonly lastFinishedAt: number | null;
  /** Holds on for another while. `false` when the lease was lost: stop at once. */
  renew(): Promise<boolean>;
  /** Lets go; `isFinished` notes that the job did its work. Idempotent. */
  release(isFinished: boolean): Promise<void>;
}
