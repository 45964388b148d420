import type { LookupAddress } from 'node:dns';
import { lookup as resolveName } from 'node:dns/promises';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { isPublicAddress } from '../kernel/address-range.ts';
import { AppError } from '../kernel/errors.ts';
import { fetchProblems } from '../kernel/problems.ts';
import type { FetchedDocument, Fetcher } from '../ports/fetcher.ts';

export interface PublicFetcherOptions {
  /** Told in `User-Agent`. */
  readonly userAgent: string;
  /** All that one document may take, redirects included. */
  readonly timeoutMs?: number;
  /** Asked for the addresses of a name; the system's resolver unless a test says otherwise. */
  readonly resolve?: (name: string) => Promise<readonly LookupAddress[]>;
  /** Whether an address may be connected to; public ones unless a test says otherwise. */
  readonly isAllowed?: (address: string) => boolean;
  /** Ports that may be named; those of http and https unless a test says otherwise. */
  readonly isPortAllowed?: (port: number) => boolean;
}

const MAX_REDIRECTS = 5;
const MAX_URL_LENGTH = 2048;
const TIMEOUT_MS = 10_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Fetches from the public internet. It speaks through `node:http`, whose `lookup` gives the connection the very addresses that
 * were checked: with `fetch` a name could mean another address a moment later, and `fetch` reads files.
 */
export function publicFetcher(options: PublicFetcherOptions): Fetcher {
  const { userAgent, timeoutMs = TIMEOUT_MS, isAllowed = isPublicAddress } = options;
  const {
    resolve = (name) => resolveName(name, { all: true }),
    isPortAllowed = (port) => port === 80 || port === 443,
  } = options;

  /** The addresses of a host, every one of them allowed. */
  const addressesOf = async (host: string): Promise<readonly LookupAddress[]> => {
    const literal = host.replace(/^\[|\]$/g, '');
    const family = isIP(literal);
    let found: readonly LookupAddress[];
    try {
      found = family === 0 ? await resolve(host) : [{ address: literal, family }];
    } catch (error) {
      throw fetchProblems.create('failed', { cause: error });
    }
    if (found.length === 0) throw fetchProblems.create('failed');
    // One forbidden address among good ones is how a name is made to mean two things.
    if (!found.every(({ address }) => isAllowed(address))) throw fetchProblems.create('refused');
    return found;
  };

  const readUrl = (text: string, base?: string): URL => {
    const url = text.length > MAX_URL_LENGTH ? null : URL.parse(text, base);
    if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
      throw fetchProblems.create('refused');
    }
    if (!isPortAllowed(Number(url.port || (url.protocol === 'https:' ? 443 : 80))))
      throw fetchProblems.create('refused');
    url.hash = '';
    return url;
  };

  const ask = async (url: URL, signal: AbortSignal): Promise<IncomingMessage> => {
    const addresses = await addressesOf(url.hostname);
    signal.throwIfAborted();
    const lookup: LookupFunction = (_, { all }, callback) => {
      const [first] = addresses as readonly [LookupAddress];
      if (all) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    };
    const request: RequestOptions = {
      method: 'GET',
      agent: false,
      lookup,
      signal,
      headers: { 'user-agent': userAgent, accept: '*/*', 'accept-encoding': 'gzip, br' },
    };
    return new Promise((answered, failed) => {
      const sent = (url.protocol === 'https:' ? requestSecure : requestPlain)(url, request, answered);
      sent.on('error', failed);
      sent.end();
    });
  };

  return {
    async fetch(text, { maxBytes, signal }): Promise<FetchedDocument> {
      const limit = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);
      let url = readUrl(text);
      try {
        for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
          const answer = await ask(url, limit);
          const status = answer.statusCode ?? 0;
          const { location } = answer.headers;
          if (REDIRECTS.has(status) && location !== undefined) {
            answer.destroy();
            url = readUrl(location, url.href);
            continue;
          }
          if (status < 200 || status > 299) {
            answer.destroy();
            throw fetchProblems.create('failed', { detail: `The address answered with status ${status}.` });
          }
          const bytes = await readAll(answer, maxBytes);
          return { url: url.href, bytes, contentType: answer.headers['content-type'] ?? null };
        }
        throw fetchProblems.create('failed', { detail: 'The address leads from redirect to redirect.' });
      } catch (error) {
        if (error instanceof AppError) throw error;
        throw fetchProblems.create('failed', { cause: error });
      }
    },
  };
}

/** The content, decompressed, no further than the limit. */
async function readAll(answer: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const body = decompressed(answer);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > maxBytes) throw fetchProblems.create('too-large');
      chunks.push(chunk);
    }
  } finally {
    answer.destroy();
    body.destroy();
  }
  return Buffer.concat(chunks);
}

function decompressed(answer: IncomingMessage): Readable {
  const coding = (answer.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const decoder = DECODERS[coding];
  if (decoder === undefined) throw fetchProblems.create('failed', { detail: 'The address sent an unknown encoding.' });
  if (decoder === null) return answer;
  const stream = decoder();
  answer.on('error', (error) => stream.destroy(error));
  return answer.pipe(stream);
}

const DECODERS: Readonly<Record<string, (() => ReturnType<typeof createGunzip>) | null>> = {
  identity: null,
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress as never,
  zstd: createZstdDecompress as never,
};
