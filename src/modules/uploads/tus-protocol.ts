import { isUuid } from '../../kernel/ids.ts';
import type { Visibility } from './admission.ts';
import { CHECKSUM_ALGORITHMS, type ExpectedChecksum } from './checksums.ts';
import { readFileName } from './file-name.ts';
import { uploadProblems } from './problems.ts';

/** Words of the tus resumable upload protocol, https://tus.io/protocols/resumable-upload (1.0.0). */
export const TUS_VERSION = '1.0.0';
export const TUS_PATH = '/api/uploads';
export const CONTENT_TYPE = 'application/offset+octet-stream';
export const EXTENSIONS = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'checksum',
  'expiration',
  'termination',
  'concatenation',
];

const MAX_METADATA_LENGTH = 8192;
const MAX_PARTS = 1000;

/** How an upload takes part in a concatenation. */
export type Concatenation = { readonly kind: 'partial' } | { readonly kind: 'final'; readonly ids: readonly string[] };

/** "The value MUST be a non-negative integer." @returns `null` when the header is not there. */
export function readCount(headers: Headers, name: 'Upload-Length' | 'Upload-Offset'): number | null {
  const value = headers.get(name);
  if (value === null) return null;
  const count = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw invalid(name);
  return count;
}

/**
 * The length of a new upload, `null` when it is deferred: "Upload-Defer-Length … MUST be 1", and of the two headers exactly one is
 * sent.
 */
export function readCreationLength(headers: Headers): number | null {
  const length = readCount(headers, 'Upload-Length');
  const defer = headers.get('Upload-Defer-Length');
  if (defer !== null && defer !== '1') throw invalid('Upload-Defer-Length');
  if ((length === null) === (defer === null)) throw invalid('Upload-Length');
  return length;
}

/**
 * "One or more comma-separated key-value pairs. The key and value MUST be separated by a space. The key MUST NOT contain spaces
 * and commas and MUST NOT be empty … the value MUST be Base64 encoded. All keys MUST be unique." A value may be missing.
 */
export function parseMetadata(header: string | null): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (header === null || header === '') return metadata;
  if (header.length > MAX_METADATA_LENGTH) throw invalid('Upload-Metadata');
  for (const pair of header.split(',')) {
    const [, key, value = ''] = /^\s*([^\s,]+)(?: +([A-Za-z0-9+/]*={0,2}))?\s*$/.exec(pair) ?? [];
    if (key === undefined || metadata.has(key)) throw invalid('Upload-Metadata');
    metadata.set(key, Buffer.from(value, 'base64').toString());
  }
  return metadata;
}

/** What we take from the metadata. What the client says of the type is not believed. */
export function readMetadata(header: string | null): { readonly name: string; readonly visibility: Visibility } {
  const metadata = parseMetadata(header);
  const visibility = metadata.get('visibility') || 'private';
  if (visibility !== 'private' && visibility !== 'public') throw invalid('Upload-Metadata');
  return { name: readFileName(metadata.get('filename') || metadata.get('name') || 'upload'), visibility };
}

/** "Upload-Checksum … the name of the used checksum algorithm and the Base64 encoded checksum separated by a space." */
export function parseChecksum(header: string | null): ExpectedChecksum | null {
  if (header === null) return null;
  const [, name, value] = /^([a-z0-9]+) ([A-Za-z0-9+/]+={0,2})$/.exec(header.trim()) ?? [];
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === name);
  if (!algorithm || value === undefined) throw invalid('Upload-Checksum');
  return { algorithm, value };
}

/** "The value MUST be … partial" or "final followed by a semicolon and a space-separated list of the partial upload URLs". */
export function parseConcatenation(header: string | null): Concatenation | null {
  if (header === null) return null;
  if (header === 'partial') return { kind: 'partial' };
  if (!header.startsWith('final;')) throw invalid('Upload-Concat');
  const ids = header.slice('final;'.length).trim().split(/ +/).map(idOfUrl);
  if (ids.length > MAX_PARTS || new Set(ids).size < ids.length) throw invalid('Upload-Concat');
  return { kind: 'final', ids };
}

/** A URL of an upload, absolute or relative, as we once gave it in `Location`. */
function idOfUrl(url: string): string {
  const segments = (URL.parse(url, 'http://localhost')?.pathname ?? '').replace(/\/$/, '').split('/');
  const id = segments.pop() ?? '';
  if (!isUuid(id) || !segments.join('/').endsWith(TUS_PATH)) throw invalid('Upload-Concat');
  return id;
}

function invalid(header: string) {
  return uploadProblems.create('invalid-header', {
    detail: `The header ${header} is missing or not as tus 1.0.0 asks.`,
  });
}
