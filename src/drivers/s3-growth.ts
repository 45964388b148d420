import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { randomToken } from '../kernel/ids.ts';
import { storageProblems } from '../kernel/problems.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { isMissing, type S3Fault } from './s3-faults.ts';

/** Where growing objects keep what belongs to them; no key of a caller is below it. */
export const GROWING = '.growing/';

/**
 * How far a growing object is. It is one small object in the bucket that is replaced whole, so that it changes at one moment or not
 * at all; parts and tails that it does not speak of do not count, and are replaced by what comes next.
 */
export interface Growth {
  /** Changes with every change. */
  readonly version: string;
  readonly state: 'growing' | 'finishing' | 'finished';
  /** Of the upload in parts, once there is a whole part. */
  readonly uploadId: string | null;
  /** Whole parts that count: those numbered 1 to this. */
  readonly parts: number;
  /** Bytes behind the last whole part; they lie in an object of their own, in one of two that take turns. */
  readonly tailBytes: number;
  readonly tailSlot: 'a' | 'b';
  /** Once it is finished. */
  readonly sha256: string | null;
}

export interface S3Growths {
  find(handle: string): Promise<Growth | null>;
  /** Throws `storage/gone` when there is none. */
  get(handle: string): Promise<Growth>;
  /** When it resolves the change is durable. */
  save(handle: string, growth: Omit<Growth, 'version'>): Promise<Growth>;
  readTail(handle: string, growth: Growth): Promise<Uint8Array>;
  /** Keeps bytes behind the whole parts, in the place that does not count now. @returns that place. */
  writeTail(handle: string, growth: Growth, bytes: Uint8Array): Promise<Growth['tailSlot']>;
  /** Removes all of it but the upload in parts. Idempotent. */
  remove(handle: string): Promise<void>;
  /** Name of the object that {@link save} writes. */
  nameOf(handle: string): string;
}

export function s3Growths(bucket: S3Bucket): S3Growths {
  const { client, name: Bucket } = bucket;
  const nameOf = (handle: string) => bucket.toName(`${GROWING}${handle.replaceAll('/', '~')}`);
  const tailOf = (handle: string, slot: Growth['tailSlot']) => `${nameOf(handle)}@${slot}`;

  const read = async (Key: string): Promise<Uint8Array | null> => {
    try {
      const { Body } = await bucket.ask(client.send(new GetObjectCommand({ Bucket, Key })), isMissing);
      return (await bucket.ask(Body?.transformToByteArray() ?? Promise.resolve(null))) ?? null;
    } catch (error) {
      if (isMissing(error as S3Fault)) return null;
      throw error;
    }
  };
  const write = (Key: string, Body: Uint8Array) => bucket.ask(client.send(new PutObjectCommand({ Bucket, Key, Body })));
  const remove = (Key: string) => bucket.ask(client.send(new DeleteObjectCommand({ Bucket, Key })));

  const find = async (handle: string): Promise<Growth | null> => {
    const content = await read(nameOf(handle));
    return content && (JSON.parse(new TextDecoder().decode(content)) as Growth);
  };

  return {
    nameOf,
    find,
    async get(handle) {
      const growth = await find(handle);
      if (!growth) throw storageProblems.create('gone');
      return growth;
    },
    async save(handle, growth) {
      const saved: Growth = { ...growth, version: randomToken(9) };
      await write(nameOf(handle), new TextEncoder().encode(JSON.stringify(saved)));
      return saved;
    },
    async readTail(handle, { tailBytes, tailSlot }) {
      if (tailBytes === 0) return new Uint8Array();
      const tail = await read(tailOf(handle, tailSlot));
      if (tail?.length === tailBytes) return tail;
      throw storageProblems.create('unavailable', {
        cause: new Error('the tail of a growing object is not as it was'),
      });
    },
    async writeTail(handle, { tailSlot }, bytes) {
      const slot = tailSlot === 'a' ? 'b' : 'a';
      await write(tailOf(handle, slot), bytes);
      return slot;
    },
    async remove(handle) {
      await remove(tailOf(handle, 'a'));
      await remove(tailOf(handle, 'b'));
      await remove(nameOf(handle));
    },
  };
}
