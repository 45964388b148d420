import type { AppError } from '../kernel/errors.ts';
import { storageProblems } from '../kernel/problems.ts';

/**
 * What a store said, without what it may have repeated of our request: a refused signature comes back with the access key and
 * the text that was signed.
 */
export class S3Fault extends Error {
  override readonly name = 'S3Fault';
  /** The store's own word, such as `NoSuchKey`. */
  readonly code: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;

  constructor(code: string, status: number, requestId: string | undefined) {
    super(
      `the object store answered ${code}${status ? ` (${status})` : ''}${requestId ? `, request ${requestId}` : ''}`,
    );
    this.code = code;
    this.status = status;
  }
}

interface ForeignError {
  readonly name?: unknown;
  readonly Code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** Reads an error of the SDK. Its message is left behind: it may hold anything. */
export function toFault(error: unknown): S3Fault {
  if (error instanceof S3Fault) return error;
  const { name, Code, $metadata } = (error ?? {}) as ForeignError;
  const word = [Code, name].find((candidate) => typeof candidate === 'string' && /^[A-Za-z]{1,60}$/.test(candidate));
  return new S3Fault(String(word ?? 'Unknown'), $metadata?.httpStatusCode ?? 0, $metadata?.requestId);
}

/** There is no such object. */
export function isMissing({ code, status }: S3Fault): boolean {
  return (
    code === 'NoSuchKey' ||
    code === 'NotFound' ||
    (status === 404 && code !== 'NoSuchBucket' && code !== 'NoSuchUpload')
  );
}

/** The store does not have this operation. */
export function isNotImplemented({ code, status }: S3Fault): boolean {
  return status === 501 || status === 405 || code === 'NotImplemented';
}

/** Whether the store said no, so that nothing was done; otherwise it may have been. */
export function isRefusal({ status }: S3Fault): boolean {
  return status >= 300 && status < 500;
}

const FULL = ['QuotaExceeded', 'InsufficientStorage', 'XMinioStorageFull', 'StorageFull', 'OverQuota'];
const WRONG_REGION = [
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
];
const RETRY_AFTER_SECONDS = 5;

/** What an operator should look at; `null` for what is expected to happen. */
export function hintOf({ code, status }: S3Fault): string | null {
  if (code === 'EntityTooLarge') return null;
  if (status === 507 || FULL.includes(code)) return 'the object store is full';
  if (code === 'RequestTimeTooSkewed')
    return 'the object store refuses requests because the clock of this machine is wrong';
  if (WRONG_REGION.includes(code) || status === 301 || status === 307) {
    return 'the bucket is in another region: check AWS_REGION and AWS_ENDPOINT_URL_S3';
  }
  if (code === 'NoSuchBucket' || status === 404)
    return 'the bucket does not exist: check STORAGE_URL, BUCKET_NAME and BACKUP_URL';
  if (code === 'CredentialsProviderError')
    return 'no access key was found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
  if (status === 401 || status === 403) {
    return 'the object store refuses the access key: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they allow';
  }
  if (code === 'SlowDown' || status === 429 || status === 503) return 'the object store asks to slow down';
  if (status === 0) return 'the object store does not answer';
  return 'the object store fails';
}

/** The problem that a caller gets. Our own errors, such as those of the source of a body, pass as they are. */
export function toStorageProblem(fault: S3Fault): AppError {
  if (fault.code === 'EntityTooLarge') return storageProblems.create('too-large', { cause: fault });
  if (fault.status === 507 || FULL.includes(fault.code)) return storageProblems.create('full', { cause: fault });
  return storageProblems.create('unavailable', { cause: fault, retryAfterSeconds: RETRY_AFTER_SECONDS });
}
