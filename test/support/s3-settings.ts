import type { TestBucket } from './test-bucket.ts';

/** The settings that make a server keep its files in a bucket. */
export function s3Settings({ options }: Pick<TestBucket, 'options'>, prefix = 'house'): Record<string, string> {
  return {
    STORAGE_URL: `s3://${options.bucket}/${prefix}`,
    AWS_ENDPOINT_URL_S3: options.endpoint,
    AWS_ACCESS_KEY_ID: options.accessKeyId,
    AWS_SECRET_ACCESS_KEY: options.secretAccessKey,
    AWS_REGION: options.region,
    S3_FORCE_PATH_STYLE: 'true',
  };
}
