import { uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RepositoryObject, RepositoryStore } from '../../ports/repository-store.ts';
import { backupProblems } from './problems.ts';
import { readText, writeText } from './small-objects.ts';

/** Who holds a lease, for people. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
}

/** Any number may take, verify or restore at once (`shared`); who deletes objects is alone (`exclusive`). */
export type LeaseKind = 'shared' | 'exclusive';

/**
 * The right to work on a repository, whoever else uses it. It is renewed while the process lives and ends by itself when it does not,
 * so nobody is ever locked out by a machine that died.
 */
export interface RepositoryLease {
  readonly kind: LeaseKind;
  /** Aborted, with `backups/lease-lost`, when somebody took the holder for dead. */
  readonly signal: AbortSignal;
  /** Asks the repository. @throws backups/lease-lost */
  assertHeld(): Promise<void>;
  /** Idempotent. */
  release(): Promise<void>;
}

export interface LeaseTimes {
  readonly renewMs?: number;
  /** A lease that was not renewed for so long may be dead. */
  readonly deadMs?: number;
  /** Longest wait before another try. */
  readonly backOffMs?: number;
}

const PREFIX = 'leases/';
const TRIES = 5;

/**
 * Makes the function that takes leases. Whoever wants one writes it down first and looks at the others then, so of two that exclude
 * each other at least one sees the other and withdraws.
 *
 * Clocks are not trusted: ages are differences of times that the store noted, and a lease that seems old is watched for longer
 * than a renewal takes before it counts as dead.
 */
export function repositoryLeases(
  { store, clock, holder }: { readonly store: RepositoryStore; readonly clock: Clock; readonly holder: Holder },
  { renewMs = 10_000, deadMs = 60_000, backOffMs = 2_000 }: LeaseTimes = {},
) {
  /** The lease of somebody else that excludes this kind, if there is one. */
  const findConflict = async (kind: LeaseKind, ownKey: string): Promise<Note | null> => {
    const found: RepositoryObject[] = [];
    for await (const object of store.list(PREFIX)) found.push(object);
    const own = found.find(({ key }) => key === ownKey);
    const doubtful: { readonly object: RepositoryObject; readonly note: Note }[] = [];
    for (const object of found) {
      if (object.key === ownKey) continue;
      const note = readNote(await readText(store, object.key));
      if (!note || (kind === 'shared' && note.kind === 'shared')) continue;
      if (Math.abs((own?.modifiedAt ?? clock.now()) - object.modifiedAt) < deadMs) return note;
      doubtful.push({ object, note });
    }
    const living = await Promise.all(
      doubtful.map(async ({ object, note }) => {
        if (await isRenewed(object)) return note;
        await store.delete(object.key);
        return null;
      }),
    );
    return living.find((note) => note !== null) ?? null;
  };

  const isRenewed = async ({ key, modifiedAt }: RepositoryObject): Promise<boolean> => {
    await pause(renewMs * 1.5);
    const later = await store.stat(key);
    return later !== null && later.modifiedAt !== modifiedAt;
  };

  const hold = (kind: LeaseKind, key: string, note: Note): RepositoryLease => {
    const lost = new AbortController();
    let renewedAt = performance.now();
    let renewing: Promise<void> = Promise.resolve();
    let isOver = false;

    const lose = () => lost.abort(backupProblems.create('lease-lost'));
    const isTooLate = () => performance.now() - renewedAt > deadMs;
    const renew = async (): Promise<void> => {
      const startedAt = performance.now();
      if (isOver || lost.signal.aborted) return;
      try {
        if (isTooLate() || !(await store.stat(key))) return lose();
        await writeText(store, key, JSON.stringify(note));
        renewedAt = startedAt;
      } catch {
        // The next try may succeed while there is time.
      }
    };
    const timer = setInterval(() => {
      renewing = renewing.then(renew);
    }, renewMs);
    timer.unref();

    return {
      kind,
      signal: lost.signal,
      async assertHeld() {
        if (isTooLate() || !(await store.stat(key))) lose();
        lost.signal.throwIfAborted();
      },
      async release() {
        isOver = true;
        clearInterval(timer);
        await renewing;
        await store.delete(key);
      },
    };
  };

  /** @throws backups/busy, naming who is in the way. */
  return async (kind: LeaseKind, purpose: string): Promise<RepositoryLease> => {
    const key = `${PREFIX}${uuidv7(clock.now())}.json`;
    const note: Note = { kind, purpose, ...holder, since: new Date(clock.now()).toISOString() };
    for (let attempt = 1; ; attempt++) {
      await writeText(store, key, JSON.stringify(note));
      const conflict = await findConflict(kind, key).catch(async (error: unknown) => {
        await store.delete(key).catch(() => undefined);
        throw error;
      });
      if (!conflict) return hold(kind, key, note);
      await store.delete(key);
      if (attempt === TRIES) throw busy(conflict);
      await pause(Math.random() * backOffMs);
    }
  };
}

interface Note extends Holder {
  readonly kind: LeaseKind;
  readonly purpose: string;
  readonly since: string;
}

/** `null` for a lease that is over by now. One that cannot be read excludes everybody, as long as it is alive. */
function readNote(text: string | null): Note | null {
  if (text === null) return null;
  const unknown: Note = { kind: 'exclusive', purpose: 'unknown work', host: 'an unknown host', pid: 0, since: '' };
  try {
    const { kind, purpose, host, pid, since } = JSON.parse(text) as Partial<Record<keyof Note, unknown>>;
    return {
      kind: kind === 'shared' ? 'shared' : 'exclusive',
      purpose: typeof purpose === 'string' ? purpose : unknown.purpose,
      host: typeof host === 'string' ? host : unknown.host,
      pid: typeof pid === 'number' ? pid : unknown.pid,
      since: typeof since === 'string' ? since : unknown.since,
    };
  } catch {
    return unknown;
  }
}

function busy({ purpose, host, pid, since }: Note) {
  return backupProblems.create('busy', {
    detail: `${host} (process ${pid}) works on the backup repository since ${since}: ${purpose}. Try again later.`,
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
