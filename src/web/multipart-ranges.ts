import { randomToken } from '../kernel/ids.ts';
import type { ByteRange } from '../ports/object-store.ts';
import type { Representation } from './file-response.ts';

export interface MultipartRanges {
  /** `multipart/byteranges` with its boundary. */
  readonly contentType: string;
  readonly byteLength: number;
  /** Opens each part when its turn comes and holds one chunk at a time. */
  readonly body: ReadableStream<Uint8Array>;
}

/** The body of a 206 with several ranges (RFC 9110 §14.6). */
export function multipartRanges(
  file: Pick<Representation, 'size' | 'type' | 'open'>,
  ranges: readonly ByteRange[],
): MultipartRanges {
  const boundary = randomToken(18);
  const encoder = new TextEncoder();
  const parts = ranges.map((range) => ({
    range,
    head: encoder.encode(
      `\r\n--${boundary}\r\nContent-Type: ${file.type}\r\n` +
        `Content-Range: bytes ${range.first}-${range.last}/${file.size}\r\n\r\n`,
    ),
  }));
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);

  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const { range, head } of parts) {
      yield head;
      const opened = await file.open(range);
      yield* opened instanceof Blob ? opened.stream() : opened;
    }
    yield tail;
  }
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    byteLength: parts.reduce((sum, { range, head }) => sum + head.length + range.last - range.first + 1, tail.length),
    body: toStream(chunks()),
  };
}

function toStream(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}
