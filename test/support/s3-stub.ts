import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { judgeSignature } from './s3-signature.ts';
import { createStubObjects, type StubObjects } from './s3-stub-objects.ts';
import { operationOf, perform, refuse, type StubAnswer, type StubRequest } from './s3-stub-operations.ts';
import type { TestBucket } from './test-bucket.ts';

export interface S3StubOptions {
  /** Refuses requests with any `x-amz-checksum-*` or its like, and bodies in aws-chunked framing, as many stores do. */
  readonly refusesChecksums?: boolean;
  /** Demands that all parts but the last are equal, as R2 does. */
  readonly wantsEqualParts?: boolean;
  /** Smallest part below the last; 5 MiB unless said. */
  readonly minPartBytes?: number;
  /** Operations it does not have, such as `ListMultipartUploads`. */
  readonly lacks?: readonly string[];
}

/** What to do with a request instead of, or around, what it asks for. */
export type StubFault =
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** Keeps the connection and never answers. */
  | { readonly kind: 'silence' }
  /** Cuts the connection without an answer. */
  | { readonly kind: 'reset' }
  /** Does what was asked, then cuts the connection without an answer. */
  | { readonly kind: 'done-then-reset' }
  /** Sends only so many bytes of the body it announced, then cuts the connection. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Sends so many bytes of the body it announced, then nothing more. */
  | { readonly kind: 'stall'; readonly bytes: number }
  /** Says 200 and then an error in the body, as S3 may for long operations. */
  | { readonly kind: 'error-in-200'; readonly code: string };

export interface S3Stub extends TestBucket {
  readonly store: StubObjects;
  /** Operations in the order in which they came, by the names of the S3 API. */
  readonly requests: string[];
  /** The next `times` requests of an operation meet the fault. */
  fail(operation: string, fault: StubFault, times?: number): void;
  /** No planned fault happens any more. */
  clearFaults(): void;
  /** Sets the store's clock ahead or back. */
  turnClock(ms: number): void;
}

/**
 * An S3 of our own in this process: one bucket in the path, strict about signatures, with faults on demand.
 */
export async function startS3Stub(options: S3StubOptions = {}): Promise<S3Stub> {
  const bucket = 'bunkhouse-test';
  const credentials = { accessKeyId: 'STUBKEY', secretAccessKey: 'a-secret-that-nobody-may-see', region: 'eu-test-1' };
  const requests: string[] = [];
  const faults: { readonly operation: string; readonly fault: StubFault; left: number }[] = [];
  let clockMs = 0;
  const now = () => Date.now() + clockMs;
  const { minPartBytes = 5 * 2 ** 20, wantsEqualParts = false } = options;
  const store = createStubObjects({ now, minPartBytes, wantsEqualParts });

  const judge = (request: Request, stubRequest: StubRequest, operation: string): StubAnswer | null => {
    const refusal = judgeSignature(request, stubRequest.body, credentials, now());
    if (refusal) return refuse(refusal === 'AuthorizationHeaderMalformed' ? 400 : 403, refusal);
    if (stubRequest.bucket !== bucket) return refuse(404, 'NoSuchBucket');
    if (options.lacks?.includes(operation)) return refuse(501, 'NotImplemented');
    const { headers } = stubRequest;
    const isChunked = /aws-chunked/.test(headers.get('content-encoding') ?? '');
    const hasChecksum = [...headers.keys()].some((name) => /^x-amz-(checksum|sdk-checksum|trailer)/.test(name));
    if (options.refusesChecksums && (isChunked || hasChecksum)) return refuse(501, 'NotImplemented');
    return isChunked ? refuse(501, 'NotImplemented') : null;
  };

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(incoming.url ?? '/', `http://${incoming.headers.host}`);
    const headers = new Headers(incoming.headers as Record<string, string>);
    const method = incoming.method ?? 'GET';
    const [, inPath = '', ...name] = decodeURIComponent(url.pathname).split('/');
    const request: StubRequest = {
      method,
      headers,
      query: url.searchParams,
      name: name.join('/'),
      bucket: inPath,
      body,
    };
    const operation = operationOf(request);
    requests.push(operation);

    const planned = faults.find((each) => each.operation === operation && each.left > 0);
    if (planned) planned.left--;
    const fault = planned?.fault;
    switch (fault?.kind) {
      case 'silence':
        return;
      case 'reset':
        outgoing.socket?.destroy();
        return;
      case 'status':
        return send(outgoing, method, refuse(fault.status, fault.code), now());
      case 'error-in-200':
        return send(outgoing, method, { ...refuse(500, fault.code), status: 200 }, now());
    }
    const answer =
      judge(new Request(url, { method, headers }), request, operation) ?? perform(operation, request, store);
    if (fault?.kind === 'done-then-reset') {
      outgoing.socket?.destroy();
      return;
    }
    if (fault && answer.status < 300) return sendStart(outgoing, answer, fault.bytes, fault.kind === 'truncate');
    send(outgoing, method, answer, now());
  };

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    options: {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      bucket,
      ...credentials,
      isPathStyle: true,
    },
    store,
    requests,
    fail: (operation, fault, times = 1) => void faults.push({ operation, fault, left: times }),
    clearFaults: () => void faults.splice(0),
    turnClock: (ms) => {
      clockMs += ms;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      store.clear();
    },
  };
}

function send(outgoing: ServerResponse, method: string, answer: StubAnswer, nowMs: number): void {
  outgoing.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers ?? {})) outgoing.setHeader(name, value);
  outgoing.setHeader('date', new Date(nowMs).toUTCString());
  if (method === 'HEAD') {
    outgoing.end();
    return;
  }
  const body = Buffer.from(answer.body ?? '');
  if (answer.status !== 204) outgoing.setHeader('content-length', body.length);
  outgoing.end(body);
}

/** Announces the whole body and sends only the start of it. */
function sendStart(outgoing: ServerResponse, answer: StubAnswer, bytes: number, isCut: boolean): void {
  const body = Buffer.from(answer.body ?? '');
  outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': body.length });
  outgoing.write(body.subarray(0, bytes), () => {
    if (isCut) setTimeout(() => outgoing.socket?.destroy(), 20);
  });
}
