import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Logger } from '../ports/logger.ts';
import { hintOf, type S3Fault, toFault, toStorageProblem } from './s3-faults.ts';
import { s3Transport } from './s3-transport.ts';

export interface S3BucketOptions {
  readonly bucket: string;
  /** Everything of ours lies below it; may be empty. */
  readonly prefix?: string;
  readonly region?: string | undefined;
  /** Where a store that is not AWS answers. */
  readonly endpoint?: string | undefined;
  /** The bucket stands in the path, not in the host. */
  readonly isPathStyle?: boolean;
  /** Without them the SDK looks where AWS's own tools do. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly log: Logger;
  /** How long the store may take to begin an answer. */
  readonly answerMs?: number;
  /** A body that goes out more slowly than this is given up. */
  readonly slowestBytesPerSecond?: number;
}

/** A bucket, or what lies below a prefix in one, with the SDK's errors translated. */
export interface S3Bucket {
  readonly client: S3Client;
  readonly name: string;
  /** The name that a key has in the bucket. */
  toName(key: string): string;
  toKey(name: string): string;
  /**
   * Awaits a call of the SDK. Throws a `storage/*` problem and logs what an operator should know. A fault that `isExpected`
   * is thrown as it is.
   */
  ask<T>(call: Promise<T>, isExpected?: (fault: S3Fault) => boolean): Promise<T>;
  /** Now, by the clock of the store. */
  now(): number;
}

/** Attempts at one request; between them the SDK waits longer and longer, with chance. */
const ATTEMPTS = 4;
/** One and the same hint is logged once in so long. */
const LOG_EVERY_MS = 10_000;

export function openBucket(options: S3BucketOptions): S3Bucket {
  const { bucket, log, accessKeyId, secretAccessKey } = options;
  const base = options.prefix ? `${options.prefix.replace(/^\/+|\/+$/g, '')}/` : '';
  let clockOffsetMs = 0;
  const config: S3ClientConfig = {
    region: options.region ?? 'us-east-1',
    forcePathStyle: options.isPathStyle ?? false,
    maxAttempts: ATTEMPTS,
    // Many stores know no checksums but the one in the signature (docs/decisions/object-store.md).
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: false,
    requestHandler: s3Transport({
      answerMs: options.answerMs,
      slowestBytesPerSecond: options.slowestBytesPerSecond,
      onDate: (atMs) => {
        clockOffsetMs = atMs - Date.now();
      },
    }),
  };
  if (options.endpoint !== undefined) config.endpoint = options.endpoint;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) config.credentials = { accessKeyId, secretAccessKey };

  const loggedAt = new Map<string, number>();
  const report = (fault: S3Fault): void => {
    const hint = hintOf(fault);
    if (hint === null || performance.now() - (loggedAt.get(hint) ?? -LOG_EVERY_MS) < LOG_EVERY_MS) return;
    loggedAt.set(hint, performance.now());
    log.error({ err: fault, bucket, code: fault.code, status: fault.status }, hint);
  };

  return {
    client: new S3Client(config),
    name: bucket,
    toName: (key) => `${base}${key}`,
    toKey: (name) => name.slice(base.length),
    async ask(call, isExpected = () => false) {
      try {
        return await call;
      } catch (error) {
        const fault = toFault(error);
        if (isExpected(fault)) throw fault;
        report(fault);
        throw toStorageProblem(fault);
      }
    },
    now: () => Date.now() + clockOffsetMs,
  };
}
