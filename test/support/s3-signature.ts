import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/**
 * AWS Signature Version 4 from the side of the store, in a header or in the query, as the S3 API reference has it ("Authenticating
 * Requests (AWS Signature Version 4)").
 */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export type Refusal =
  | 'AccessDenied'
  | 'InvalidAccessKeyId'
  | 'SignatureDoesNotMatch'
  | 'AuthorizationHeaderMalformed'
  | 'RequestTimeTooSkewed'
  | 'XAmzContentSHA256Mismatch';

const MAX_SKEW_MS = 15 * 60_000;

/** Checks a request and its body. @returns what is wrong, `null` when nothing is. */
export function judgeSignature(
  request: Request,
  body: Uint8Array,
  credentials: S3Credentials,
  nowMs: number,
): Refusal | null {
  const url = new URL(request.url);
  const signed = fromHeader(request.headers) ?? fromQuery(url.searchParams);
  if (!signed) return 'AccessDenied';
  const { accessKeyId, scope, signedHeaders, signature, time, expiresMs } = signed;
  if (accessKeyId !== credentials.accessKeyId) return 'InvalidAccessKeyId';
  const [date = '', region = '', service = '', end] = scope;
  if (region !== credentials.region || service !== 's3' || end !== 'aws4_request')
    return 'AuthorizationHeaderMalformed';
  const signedAtMs = Date.parse(time.replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:'));
  if (expiresMs === null ? Math.abs(nowMs - signedAtMs) > MAX_SKEW_MS : nowMs > signedAtMs + expiresMs) {
    return expiresMs === null ? 'RequestTimeTooSkewed' : 'AccessDenied';
  }
  if (!signedHeaders.includes('host')) return 'SignatureDoesNotMatch';
  for (const name of request.headers.keys()) {
    if (name.startsWith('x-amz-') && !signedHeaders.includes(name)) return 'SignatureDoesNotMatch';
  }

  const payload = request.headers.get('x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  if (/^[0-9a-f]{64}$/.test(payload) && payload !== sha256(body)) return 'XAmzContentSHA256Mismatch';
  const canonical = [
    request.method,
    canonicalPath(url),
    canonicalQuery(url),
    ...signedHeaders.map((name) => `${name}:${(request.headers.get(name) ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    signedHeaders.join(';'),
    payload,
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), sha256(canonical)].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<Buffer>(
    hmac,
    Buffer.from(`AWS4${credentials.secretAccessKey}`),
  );
  const expected = Buffer.from(hmac(key, text).toString('hex'));
  const given = Buffer.from(signature);
  return expected.length === given.length && timingSafeEqual(expected, given) ? null : 'SignatureDoesNotMatch';
}

function fromHeader(headers: Headers) {
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)$/.exec(
    headers.get('authorization') ?? '',
  );
  if (!match) return null;
  const [accessKeyId = '', ...scope] = splitCredential(match[1] as string);
  const signedHeaders = (match[2] as string).split(';');
  return {
    accessKeyId,
    scope,
    signedHeaders,
    signature: match[3] as string,
    time: headers.get('x-amz-date') ?? '',
    expiresMs: null,
  };
}

function fromQuery(query: URLSearchParams) {
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') return null;
  const [accessKeyId = '', ...scope] = splitCredential(query.get('X-Amz-Credential') ?? '');
  return {
    accessKeyId,
    scope,
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    time: query.get('X-Amz-Date') ?? '',
    expiresMs: Number(query.get('X-Amz-Expires')) * 1_000,
  };
}

function splitCredential(credential: string): string[] {
  return credential.split('/');
}

function canonicalPath({ pathname }: URL): string {
  return pathname
    .split('/')
    .map((segment) => encode(decodeURIComponent(segment)))
    .join('/');
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
