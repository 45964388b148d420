import { text, ValueFault } from './values.ts';

/** A place for objects as an address names it. */
export type StorageUrl =
  | { readonly kind: 'disk'; readonly path: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

/** A setting that holds the address of a place for objects. */
export function storageUrl<Default extends string | undefined = undefined>(options: {
  readonly env: string;
  readonly default?: Default;
  readonly description: string;
}) {
  const setting = text(options);
  return {
    ...setting,
    read(value: string): ReturnType<typeof setting.read> {
      readStorageUrl(value);
      return setting.read(value);
    },
  };
}

/** A setting that holds the name of a bucket. */
export function bucketName(options: { readonly env: string; readonly description: string }) {
  const read: (value: string) => string | undefined = readBucketName;
  return { ...text(options), read };
}

/** Reads `file:PATH`, `file:///PATH` (PATH may be relative to the working directory) or `s3://BUCKET[/PREFIX]`. */
export function readStorageUrl(url: string): StorageUrl {
  const file = /^file:(?:\/\/)?(.+)$/.exec(url);
  if (file) return { kind: 'disk', path: file[1] as string };
  const s3 = /^s3:\/\/([^/?#@]+)(?:\/([A-Za-z0-9._/-]*))?$/.exec(url);
  if (!s3) throw new ValueFault('must be file:PATH or s3://BUCKET[/PREFIX]');
  const prefix = (s3[2] ?? '').replace(/\/$/, '');
  // A path with dots or empty segments would reach the store as another one.
  if (prefix.split('/').some((segment) => /^\.{1,2}$/.test(segment)) || /^\/|\/\/|\/$/.test(prefix)) {
    throw new ValueFault('must have a prefix without empty segments and dots');
  }
  return { kind: 's3', bucket: readBucketName(s3[1] as string), prefix };
}

/** The names that S3 allows, and those that older or other stores allow beside them. */
function readBucketName(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/.test(name)) throw new ValueFault('must be the name of a bucket');
  return name;
}
