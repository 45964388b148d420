import { readFileSync } from 'node:fs';
import type { StubObject, StubObjects } from './s3-stub-objects.ts';

export interface StubRequest {
  readonly method: string;
  readonly headers: Headers;
  readonly query: URLSearchParams;
  /** Name of the object; empty for the bucket itself. */
  readonly name: string;
  readonly bucket: string;
  readonly body: Buffer;
}

export interface StubAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
}

const PAGE = 1000;

/** What a request asks for, by the name that the S3 API gives it. */
export function operationOf({ method, headers, query, name }: StubRequest): string {
  const isCopy = headers.has('x-amz-copy-source');
  if (name === '') {
    if (method === 'HEAD') return 'HeadBucket';
    return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjectsV2';
  }
  if (query.has('uploads')) return 'CreateMultipartUpload';
  if (query.has('uploadId')) {
    if (method === 'PUT') return 'UploadPart';
    if (method === 'POST') return 'CompleteMultipartUpload';
    return method === 'DELETE' ? 'AbortMultipartUpload' : 'ListParts';
  }
  if (method === 'PUT') return isCopy ? 'CopyObject' : 'PutObject';
  return { GET: 'GetObject', HEAD: 'HeadObject', DELETE: 'DeleteObject' }[method] ?? 'Unknown';
}

export function refuse(status: number, code: string): StubAnswer {
  return { status, ...xml(`<Error><Code>${code}</Code><Message>the request was refused</Message></Error>`) };
}

export function perform(operation: string, request: StubRequest, store: StubObjects): StubAnswer {
  const { name, query, headers, body } = request;
  const uploadId = query.get('uploadId') ?? '';
  const object = store.objects.get(name);
  switch (operation) {
    case 'HeadBucket':
      return { status: 200 };
    case 'PutObject': {
      const { etag } = store.put(name, body, headers.get('content-type') ?? 'binary/octet-stream');
      return { status: 200, headers: { etag } };
    }
    case 'CopyObject': {
      const source = store.objects.get(nameOfSource(headers));
      if (!source) return refuse(404, 'NoSuchKey');
      const { etag } = store.put(name, readFileSync(source.path), source.type);
      return { status: 200, ...xml(`<CopyObjectResult><ETag>${quoted(etag)}</ETag></CopyObjectResult>`) };
    }
    case 'GetObject':
    case 'HeadObject':
      return object ? content(object, request) : refuse(404, 'NoSuchKey');
    case 'DeleteObject':
      store.objects.delete(name);
      return { status: 204 };
    case 'CreateMultipartUpload': {
      const id = store.open(name, headers.get('content-type') ?? 'binary/octet-stream');
      return {
        status: 200,
        ...xml(`<R><Bucket>${request.bucket}</Bucket><Key>${name}</Key><UploadId>${id}</UploadId></R>`),
      };
    }
    case 'UploadPart': {
      const etag = store.putPart(uploadId, Number(query.get('partNumber')), body);
      return etag === null ? refuse(404, 'NoSuchUpload') : { status: 200, headers: { etag } };
    }
    case 'CompleteMultipartUpload': {
      const wanted = [...body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
        number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
        etag: unquoted(/<ETag>(.*?)</.exec(part)?.[1] ?? ''),
      }));
      const made = store.complete(uploadId, wanted);
      if (typeof made === 'string') return refuse(made === 'NoSuchUpload' ? 404 : 400, made);
      return { status: 200, ...xml(`<R><Key>${name}</Key><ETag>${quoted(made.etag)}</ETag></R>`) };
    }
    case 'AbortMultipartUpload':
      return store.uploads.delete(uploadId) ? { status: 204 } : refuse(404, 'NoSuchUpload');
    case 'ListParts': {
      const upload = store.uploads.get(uploadId);
      if (!upload) return refuse(404, 'NoSuchUpload');
      const after = Number(query.get('part-number-marker') ?? 0);
      const numbers = [...upload.parts.keys()].sort((a, b) => a - b).filter((number) => number > after);
      const parts = numbers.slice(0, PAGE).map((number) => {
        const { etag, size } = upload.parts.get(number) as { etag: string; size: number };
        return `<Part><PartNumber>${number}</PartNumber><ETag>${quoted(etag)}</ETag><Size>${size}</Size></Part>`;
      });
      const isCut = numbers.length > PAGE;
      const next = isCut ? `<NextPartNumberMarker>${numbers[PAGE - 1]}</NextPartNumberMarker>` : '';
      return { status: 200, ...xml(`<R><IsTruncated>${isCut}</IsTruncated>${next}${parts.join('')}</R>`) };
    }
    case 'ListMultipartUploads': {
      const found = [...store.uploads].filter(([, { name }]) => name.startsWith(query.get('prefix') ?? ''));
      const uploads = found.map(
        ([id, upload]) =>
          `<Upload><Key>${upload.name}</Key><UploadId>${id}</UploadId><Initiated>${iso(upload.atMs)}</Initiated></Upload>`,
      );
      return { status: 200, ...xml(`<R><IsTruncated>false</IsTruncated>${uploads.join('')}</R>`) };
    }
    case 'ListObjectsV2':
      return listObjects(query, store);
    default:
      return refuse(501, 'NotImplemented');
  }
}

function content(object: StubObject, { method, headers, query }: StubRequest): StubAnswer {
  const expected = headers.get('if-match');
  if (expected !== null && expected !== object.etag) return refuse(412, 'PreconditionFailed');
  const range = readRange(headers.get('range'), object.size);
  if (range && range[0] > range[1]) return refuse(416, 'InvalidRange');
  const answer: Record<string, string> = {
    'content-type': query.get('response-content-type') ?? object.type,
    etag: object.etag,
    'last-modified': new Date(object.atMs).toUTCString(),
  };
  for (const name of ['content-disposition', 'cache-control']) {
    const value = query.get(`response-${name}`);
    if (value !== null) answer[name] = value;
  }
  if (range) answer['content-range'] = `bytes ${range[0]}-${range[1]}/${object.size}`;
  if (method === 'HEAD') return { status: 200, headers: { ...answer, 'content-length': String(object.size) } };
  const bytes = readFileSync(object.path).subarray(range?.[0] ?? 0, (range?.[1] ?? object.size) + 1);
  return { status: range ? 206 : 200, headers: answer, body: bytes };
}

function listObjects(query: URLSearchParams, store: StubObjects): StubAnswer {
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const names = [...store.objects.keys()]
    .filter((name) => name.startsWith(query.get('prefix') ?? '') && name > after)
    .sort();
  const isCut = names.length > PAGE;
  const rows = names.slice(0, PAGE).map((name) => {
    const { size, etag, atMs } = store.objects.get(name) as StubObject;
    return `<Contents><Key>${name}</Key><LastModified>${iso(atMs)}</LastModified><ETag>${quoted(etag)}</ETag><Size>${size}</Size></Contents>`;
  });
  const next = isCut ? `<NextContinuationToken>${names[PAGE - 1]}</NextContinuationToken>` : '';
  return {
    status: 200,
    ...xml(`<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${next}${rows.join('')}</ListBucketResult>`),
  };
}

function nameOfSource(headers: Headers): string {
  const source = decodeURIComponent(headers.get('x-amz-copy-source') ?? '').replace(/^\//, '');
  return source.slice(source.indexOf('/') + 1);
}

function readRange(header: string | null, size: number): [number, number] | null {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  return match ? [Number(match[1]), Math.min(match[2] ? Number(match[2]) : size - 1, size - 1)] : null;
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}

function xml(text: string): { headers: Record<string, string>; body: string } {
  return { headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0" encoding="UTF-8"?>${text}` };
}

function quoted(text: string): string {
  return text.replaceAll('"', '&quot;');
}

function unquoted(text: string): string {
  return text.replaceAll('&quot;', '"');
}
