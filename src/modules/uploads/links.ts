import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Caller } from '../../kernel/caller.ts';
import { isUuid, uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import { type LinkRecord, linkStore } from './link-store.ts';
import { uploadProblems } from './problems.ts';
import type { FileRecord } from './store.ts';

/** Links of one file that are kept, expired ones of the last day included. */
const MAX_LINKS = 1_000;
/** An expired link is still listed for so long. */
const KEEP_MS = 24 * 3_600_000;

/** What a link stands for, as its URL carries it. */
export interface PresentedLink {
  readonly link: string;
  /** Seconds since the epoch. */
  readonly expires: string;
  readonly signature: string;
}

export interface LinkWish {
  /** Seconds. */
  readonly expiresIn: number;
  readonly disposition: LinkRecord['disposition'];
  readonly isOnce: boolean;
}

export interface LinksOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** Signs links; another key makes all of them worthless. */
  readonly key: Uint8Array;
  /** Where clients reach this server, without a slash at the end. */
  readonly publicUrl: () => string;
  /** The caller's own file, or anybody's for an admin; throws `uploads/not-found`. */
  readonly getOwned: (queries: Queries, caller: Caller, fileId: string) => Promise<FileRecord>;
}

export type Links = ReturnType<typeof createLinks>;

/**
 * Links by which anybody may fetch one file until they expire, or once. The signature is judged first, so that what is not ours
 * never reaches the database; the row then says what the link may do and that it was not revoked.
 */
export function createLinks({ database, clock, key, publicUrl, getOwned }: LinksOptions) {
  const sign = (fileId: string, linkId: string, expires: string): Buffer =>
    createHmac('sha256', key).update(`${fileId}\n${linkId}\n${expires}`).digest();

  return {
    async create(
      caller: Caller,
      fileId: string,
      wish: LinkWish,
    ): Promise<{ readonly record: LinkRecord; readonly url: string }> {
      const now = clock.now();
      const expires = Math.ceil(now / 1000) + wish.expiresIn;
      const record: LinkRecord = {
        id: uuidv7(now),
        fileId,
        disposition: wish.disposition,
        isOnce: wish.isOnce,
        createdAt: now,
        expiresAt: expires * 1000,
        usedAt: null,
      };
      await database.write(async (tx) => {
        await getOwned(tx, caller, fileId);
        if ((await linkStore.countOf(tx, fileId)) >= MAX_LINKS) throw uploadProblems.create('too-many-links');
        await linkStore.insert(tx, record);
      });
      const signature = sign(fileId, record.id, String(expires)).toString('base64url');
      const query = new URLSearchParams({ link: record.id, expires: String(expires), signature });
      return { record, url: `${publicUrl()}/api/files/${fileId}/content?${query}` };
    },

    /** A file's links, newest first; `next` is the id to go on from. */
    async list(caller: Caller, fileId: string, limit: number, before: string | null) {
      await getOwned(database.read, caller, fileId);
      const found = await linkStore.list(database.read, fileId, limit + 1, before);
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null };
    },

    async revoke(caller: Caller, fileId: string, linkId: string): Promise<void> {
      await database.write(async (tx) => {
        await getOwned(tx, caller, fileId);
        if (!(await linkStore.remove(tx, fileId, linkId))) throw uploadProblems.create('not-found');
      });
    },

    /**
     * The link that was presented for a file. Throws `uploads/invalid-link` for what we did not sign and `uploads/link-over` for
     * what has expired, was used or revoked.
     */
    async check(fileId: string, { link, expires, signature }: PresentedLink): Promise<LinkRecord> {
      const sent = Buffer.from(signature, 'base64url');
      const own = isUuid(link) && /^\d{1,12}$/.test(expires) ? sign(fileId, link, expires) : null;
      if (!own || own.length !== sent.length || !timingSafeEqual(own, sent))
        throw uploadProblems.create('invalid-link');
      const record = clock.now() < Number(expires) * 1000 ? await linkStore.find(database.read, link) : null;
      if (!record || record.usedAt !== null) throw uploadProblems.create('link-over');
      return record;
    },

    /**
     * Uses up a one-time link for what `open` gives, and takes that back when it fails: then nobody has seen anything. Throws
     * `uploads/link-over` for all but one of those who come together.
     */
    async once<Result>({ id }: LinkRecord, open: () => Promise<Result>): Promise<Result> {
      if (!(await database.write((tx) => linkStore.use(tx, id, clock.now())))) throw uploadProblems.create('link-over');
      try {
        return await open();
      } catch (error) {
        await database.write((tx) => linkStore.giveBack(tx, id));
        throw error;
      }
    },

    /** Deletes what has expired. */
    async sweep(): Promise<void> {
      const before = clock.now() - KEEP_MS;
      // A write, even of nothing, would make every process read again what it remembers.
      if (await linkStore.hasExpired(database.read, before)) {
        await database.write((tx) => linkStore.removeExpired(tx, before));
      }
    },
  };
}
