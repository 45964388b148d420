import type { Person } from '../../support/people.ts';
import { connectRaw, type RawConnection } from '../../support/raw.ts';
import type { openUploads } from './support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;

export const TUS = { 'tus-resumable': '1.0.0' };
export const OCTETS = { ...TUS, 'content-type': 'application/offset+octet-stream' };

/** A stream goes without a length. */
type Body = string | Uint8Array | AsyncIterable<Uint8Array>;

/** Speaks tus as a person, to any of the processes. */
export function tusClient(uploads: Uploads, person: Person = 'alice', url: string = uploads.url) {
  const send = (method: string, path: string, headers: Record<string, string>, body?: Body) =>
    fetch(url + path, {
      method,
      headers: { ...TUS, authorization: `Bearer ${person}`, ...headers },
      ...(body === undefined ? {} : { body: body as BodyInit }),
    });
  return {
    send,
    /** @returns its path. */
    async create(length: number | null, headers: Record<string, string> = {}): Promise<string> {
      const size: Record<string, string> =
        length === null ? { 'upload-defer-length': '1' } : { 'upload-length': String(length) };
      const response = await send('POST', '/api/uploads', { ...size, ...headers });
      if (response.status !== 201) throw new Error(`creating answered ${response.status}: ${await response.text()}`);
      return response.headers.get('location') as string;
    },
    patch: (path: string, offset: number, body: Body, headers: Record<string, string> = {}) =>
      send('PATCH', path, { ...OCTETS, 'upload-offset': String(offset), ...headers }, body),
    /** The status, and the offset where one is told. */
    async head(path: string): Promise<[status: number, offset: number | null]> {
      const response = await send('HEAD', path, {});
      const offset = response.headers.get('upload-offset');
      return [response.status, offset === null ? null : Number(offset)];
    },
    /** Begins a PATCH whose body comes as the test likes. */
    async begin(
      path: string,
      offset: number,
      length: number,
      headers: Record<string, string> = {},
    ): Promise<RawConnection> {
      const connection = await connectRaw(url);
      const lines = Object.entries({ ...OCTETS, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
      connection.write(
        `PATCH ${path} HTTP/1.1\r\nhost: a.test\r\nauthorization: Bearer ${person}\r\nupload-offset: ${offset}\r\n` +
          `content-length: ${length}\r\n${lines.join('')}\r\n`,
      );
      return connection;
    },
  };
}

/** The value of a header in a raw answer; the last answer counts. */
export function headerOf(answer: string, name: string): string | undefined {
  return [...answer.matchAll(new RegExp(`^${name}: (.*)\r$`, 'gim'))].at(-1)?.[1];
}
