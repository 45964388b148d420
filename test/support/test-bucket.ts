import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';

/** A bucket that tests may fill. */
export interface TestBucket {
  readonly options: {
    readonly endpoint: string;
    readonly bucket: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly region: string;
    readonly isPathStyle: true;
  };
  stop(): Promise<void>;
}

/** All that a bucket keeps below a prefix: objects, marks, and uploads that are not complete. */
export async function contentsOf({ options }: TestBucket, prefix: string): Promise<string[]> {
  const { endpoint, bucket: Bucket, accessKeyId, secretAccessKey, region } = options;
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }));
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix }));
  client.destroy();
  return [...Contents.map(({ Key }) => Key ?? ''), ...Uploads.map(({ Key }) => `upload of ${Key}`)];
}
