import { Busboy } from '@fastify/busboy';
import { requestProblems } from '../../kernel/problems.ts';
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
  const parser = createParser(contentType);
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

  const source = body[Symbol.asyncIterator]();
  const feed = async (): Promise<void> => {
    for (let chunk = await source.next(); !chunk.done; chunk = await source.next()) {
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

function createParser(contentType: string) {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
    throw requestProblems.create('unsupported-media-type', {
      detail: 'This address takes a body of type multipart/form-data.',
    });
  }
  try {
    return new Busboy({ headers: { 'content-type': contentType }, preservePath: true, limits: LIMITS });
  } catch (error) {
    // No boundary, or one that is too long.
    throw uploadProblems.create('invalid-multipart', { cause: error });
  }
}

/** Browsers escape three characters in a name (WHATWG HTML, multipart/form-data encoding algorithm). */
function decodeName(name: string): string {
  return name.replace(/%(22|0d|0a)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
