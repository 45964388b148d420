import { DeleteObjectCommand, PutObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import type { S3Bucket } from './s3-bucket.ts';

/** Where marks lie; no key of a caller is below it in a listing. */
export const MARKS = '.unsettled/';

/** How often the marks of a living process are made young again. */
const RENEW_MS = 5 * 60_000;
/** A mark that nobody renewed for so long is a dead process's. */
const STALE_MS = 60 * 60_000;

export interface MarkTimes {
  readonly renewMs?: number;
  readonly staleMs?: number;
}

/**
 * Which objects no record names yet. Machines that share a bucket cannot tell whether another's process lives, so each
 * object that is being put has an empty object beside it, the mark, which its process renews until the object is settled.
 * A mark that got old is left over from a process that died, by the clock of the store alone. Whoever finds it may clean up.
 */
export interface S3Marks {
  /** When it resolves the mark stands. From then on it is renewed. */
  set(key: string): Promise<void>;
  /** Whether a mark of this process stands and was renewed lately enough that nobody else can have taken it for dead. */
  isFresh(key: string): boolean;
  clear(key: string): Promise<void>;
  /** Clears it when this process knows of it. */
  clearIfKnown(key: string): Promise<void>;
  /** Lets the mark grow old, for a later sweep. */
  leave(key: string): void;
  /** Keys of marks that nobody renews, oldest first. From then on this process knows of them. */
  stale(): Promise<readonly string[]>;
}

export function s3Marks(bucket: S3Bucket, { renewMs = RENEW_MS, staleMs = STALE_MS }: MarkTimes = {}): S3Marks {
  /** Marks of this process, and when each was last made or renewed. */
  const own = new Map<string, number>();
  /** Marks that should be gone and are not. */
  const unwanted = new Set<string>();
  /** Stale ones that were found. */
  const found = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const nameOf = (key: string) => bucket.toName(`${MARKS}${key.replaceAll('/', '~')}`);
  const write = (key: string) =>
    bucket.ask(
      bucket.client.send(new PutObjectCommand({ Bucket: bucket.name, Key: nameOf(key), Body: new Uint8Array() })),
    );
  const remove = (key: string) =>
    bucket.ask(bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: nameOf(key) })));

  const renew = async (): Promise<void> => {
    for (const key of [...own.keys()]) {
      const at = performance.now();
      const isRenewed = await write(key).then(
        () => true,
        () => false,
      );
      // It may have been cleared while it was being renewed.
      if (!own.has(key)) unwanted.add(key);
      else if (isRenewed) own.set(key, at);
    }
    for (const key of [...unwanted]) await clear(key).catch(() => undefined);
  };
  const schedule = (): void => {
    if (timer !== undefined || own.size + unwanted.size === 0) return;
    timer = setTimeout(() => {
      renew().finally(() => {
        timer = undefined;
        schedule();
      });
    }, renewMs);
    // A process that has nothing else to do need not wait for it.
    timer.unref();
  };
  const clear = async (key: string): Promise<void> => {
    own.delete(key);
    found.delete(key);
    unwanted.add(key);
    schedule();
    await remove(key);
    unwanted.delete(key);
  };

  return {
    async set(key) {
      const at = performance.now();
      await write(key);
      own.set(key, at);
      schedule();
    },
    isFresh: (key) => performance.now() - (own.get(key) ?? Number.NEGATIVE_INFINITY) < staleMs / 2,
    clear,
    async clearIfKnown(key) {
      if (own.has(key) || unwanted.has(key) || found.has(key)) await clear(key);
    },
    leave: (key) => void own.delete(key),
    async stale() {
      const marks: { readonly key: string; readonly atMs: number }[] = [];
      const place = bucket.toName(MARKS);
      const pages = paginateListObjectsV2({ client: bucket.client }, { Bucket: bucket.name, Prefix: place })[
        Symbol.asyncIterator
      ]();
      for (let page = await bucket.ask(pages.next()); !page.done; page = await bucket.ask(pages.next())) {
        for (const { Key, LastModified } of page.value.Contents ?? []) {
          if (Key === undefined || LastModified === undefined || bucket.now() - LastModified.getTime() < staleMs)
            continue;
          marks.push({ key: Key.slice(place.length).replaceAll('~', '/'), atMs: LastModified.getTime() });
        }
      }
      const keys = marks
        .filter(({ key }) => !own.has(key))
        .sort((a, b) => a.atMs - b.atMs)
        .map(({ key }) => key);
      for (const key of keys) found.add(key);
      return keys;
    },
  };
}
