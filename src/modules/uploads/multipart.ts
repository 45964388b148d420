import { requestProblems } from '../../kernel/problems.ts';
import { type PlainPart, readPlainForm } from './plain-form.ts';
import { uploadProblems } from './problems.ts';

/** A file inside a form. */
export interface FilePart {
  /** The form's field. */
  readonly field: string;
  /** As the client sent it; empty when it sent none. */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
}

const LIMITS = { files: 100, fields: 20, parts: 120, fieldSize: 1024, headerPairs: 32, headerSize: 16 * 1024 };

/**
 * Reads a multipart/form-data body (RFC 7578) as it arrives: files are handed out one after the other and nothing waits
 * in memory but the chunk at hand. The body is stopped and the failure thrown when the form is malformed
 * (`uploads/invalid-multipart`) or past the limits (`uploads/too-many-parts`), or when `onFile` or the body fails. By
 * then every `onFile` has ended.
 *
 * @returns the other fields by name; of several with one name the last.
 */
export async function readMultipart(
  body: AsyncIterable<Uint8Array>,
  contentType: string,
  onFile: (part: FilePart) => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  assertMultipart(contentType);
  const source = body[Symbol.asyncIterator]();
  const early = await readEarly(source, contentType);
  if ('parts' in early) return handOut(early.parts, onFile);
  const parser = await createParser(contentType, source);
  const fields = new Map<string, string>();
  const open = new Set<NodeJS.ReadableStream & { destroy(error?: Error): unknown }>();
  const failure = Promise.withResolvers<never>();
  const finished = Promise.withResolvers<void>();
  let files: Promise<void> = Promise.resolve();
  let isOver = false;
  failure.promise.catch(() => undefined);

  parser.on('file', (field, stream, name) => {
    // A failure reaches the reader of the stream by itself; unread streams must not throw into the void.
    stream.on('error', () => undefined);
    open.add(stream);
    files = files.then(async () => {
      if (isOver) return;
      await onFile({ field: field ?? '', name: decodeName(name ?? ''), body: stream });
      open.delete(stream);
    });
    files.catch(failure.reject);
  });
  parser.on('field', (field, value, _isNameCut, isValueCut) => {
    if (isValueCut) failure.reject(uploadProblems.create('too-many-parts'));
    fields.set(field ?? '', value);
  });
  for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
    parser.on(limit, () => failure.reject(uploadProblems.create('too-many-parts')));
  }
  parser.on('error', (error) => failure.reject(uploadProblems.create('invalid-multipart', { cause: error })));
  parser.on('finish', () => finished.resolve());

  const nextChunk = async () => early.chunks.shift() ?? source.next();
  const feed = async (): Promise<void> => {
    for (let chunk = await nextChunk(); !chunk.done; chunk = await nextChunk()) {
      if (isOver) return;
      const { buffer, byteOffset, byteLength } = chunk.value;
      if (!parser.write(Buffer.from(buffer, byteOffset, byteLength))) {
        await new Promise((resolve) => parser.once('drain', resolve));
      }
    }
    if (isOver) return;
    parser.end();
    await finished.promise;
    await files;
  };

  const feeding = feed();
  feeding.catch(() => undefined);
  try {
    await Promise.race([feeding, failure.promise]);
    return fields;
  } catch (error) {
    isOver = true;
    void source.return?.();
    for (const stream of open) stream.destroy(error as Error);
    await files.catch(() => undefined);
    throw error;
  }
}

type Chunk = IteratorResult<Uint8Array, unknown>;

/** The whole form, when one chunk has all of it and it is plain; else what was read so far. */
async function readEarly(
  source: AsyncIterator<Uint8Array>,
  contentType: string,
): Promise<{ readonly parts: readonly PlainPart[] } | { readonly chunks: Chunk[] }> {
  const first = await source.next();
  const parts = first.done ? null : readPlainForm(first.value, contentType);
  if (!parts) return { chunks: [first] };
  const second = await source.next();
  return second.done ? { parts } : { chunks: [first, second] };
}

async function handOut(
  parts: readonly PlainPart[],
  onFile: (part: FilePart) => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>();
  for (const { field, fileName, content } of parts) {
    if (fileName === null) fields.set(field, content.toString('latin1'));
    else await onFile({ field, name: fileName, body: oneChunk(content) });
  }
  return fields;
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

function assertMultipart(contentType: string): void {
  if (/^multipart\/form-data\s*(;|$)/i.test(contentType)) return;
  throw requestProblems.create('unsupported-media-type', {
    detail: 'This address takes a body of type multipart/form-data.',
  });
}

async function createParser(contentType: string, source: AsyncIterator<Uint8Array>) {
  // Loaded with the first form that needs it, not with the server.
  const { Busboy } = await import('@fastify/busboy');
  try {
    return new Busboy({ headers: { 'content-type': contentType }, preservePath: true, limits: LIMITS });
  } catch (error) {
    void source.return?.();
    // No boundary, or one that is too long.
    throw uploadProblems.create('invalid-multipart', { cause: error });
  }
}

/** Browsers escape three characters in a name (WHATWG HTML, multipart/form-data encoding algorithm). */
function decodeName(name: string): string {
  return name.replace(/%(22|0d|0a)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
