import type { HttpHandlerOptions, HttpRequest, HttpResponse, QueryParameterBag } from '@smithy/types';

/** How long the store may take to begin its answer, on top of the time the body needs at {@link SLOWEST_BYTES_PER_SECOND}. */
const ANSWER_MS = 20_000;
const SLOWEST_BYTES_PER_SECOND = 128 * 1024;
const PIECE_BYTES = 256 * 1024;

export interface S3TransportOptions {
  /** Replaces {@link ANSWER_MS}. */
  readonly answerMs?: number | undefined;
  /** Replaces {@link SLOWEST_BYTES_PER_SECOND}. */
  readonly slowestBytesPerSecond?: number | undefined;
  /** Told of the `Date` of every answer, in milliseconds since the epoch. */
  readonly onDate: (atMs: number) => void;
}

/**
 * Carries the SDK's requests over `fetch`, each attempt with a deadline of its own. A request that could not be carried is
 * marked as fit to be tried again, unless the caller gave it up.
 */
export function s3Transport(options: S3TransportOptions) {
  const { answerMs = ANSWER_MS, slowestBytesPerSecond = SLOWEST_BYTES_PER_SECOND, onDate } = options;
  return {
    async handle(request: HttpRequest, { abortSignal }: HttpHandlerOptions = {}) {
      const body = request.body as Uint8Array | undefined;
      const deadline = new AbortController();
      const bodyMs = ((body?.length ?? 0) / slowestBytesPerSecond) * 1_000;
      const timer = setTimeout(() => deadline.abort(timeout()), answerMs + bodyMs);
      const signals = abortSignal ? [deadline.signal, abortSignal as AbortSignal] : [deadline.signal];
      try {
        const answer = await fetch(toUrl(request), {
          method: request.method,
          headers: withoutHost(request.headers),
          body: body?.length ? toBody(body) : null,
          signal: AbortSignal.any(signals),
          redirect: 'manual',
          decompress: false,
        } as RequestInit);
        const date = Date.parse(answer.headers.get('date') ?? '');
        if (Number.isFinite(date)) onDate(date);
        return { response: toResponse(answer) };
      } catch (error) {
        if (abortSignal?.aborted) throw Object.assign(new Error('given up'), { name: 'AbortError' });
        throw Object.assign(error instanceof Error ? error : new Error(String(error)), { $retryable: {} });
      } finally {
        clearTimeout(timer);
      }
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  };
}

function timeout(): Error {
  return Object.assign(new Error('the store did not answer in time'), { name: 'TimeoutError' });
}

function toUrl({ protocol, hostname, port, path, query }: HttpRequest): string {
  const search = query ? toSearch(query) : '';
  return `${protocol}//${hostname}${port ? `:${port}` : ''}${path}${search ? `?${search}` : ''}`;
}

function toSearch(query: QueryParameterBag): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      pairs.push(each === null || each === undefined ? encode(name) : `${encode(name)}=${encode(each)}`);
    }
  }
  return pairs.join('&');
}

/** As SigV4 has it: everything but the unreserved characters of RFC 3986 §2.3. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `fetch` makes it itself. The length must stay: with it a stream goes out as it is and not in chunks. */
function withoutHost(headers: Readonly<Record<string, string>>): Record<string, string> {
  const { host: _host, ...others } = headers;
  return others;
}

/** Bun copies bytes that it is to send. Given piece by piece, a large body takes no more memory than it has. */
function toBody(bytes: Uint8Array): Uint8Array | ReadableStream<Uint8Array> {
  if (bytes.length <= PIECE_BYTES) return bytes;
  let offset = 0;
  return new ReadableStream(
    {
      pull(controller) {
        controller.enqueue(bytes.subarray(offset, offset + PIECE_BYTES));
        offset += PIECE_BYTES;
        if (offset >= bytes.length) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** The SDK knows an answer by these members. */
function toResponse(answer: Response): HttpResponse {
  return {
    statusCode: answer.status,
    reason: answer.statusText,
    headers: Object.fromEntries(answer.headers),
    body: answer.body ?? emptyStream(),
  } as HttpResponse;
}

function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}
