/** A body as a stream: bytes that are there already are its one chunk. */
export function toChunks(body: Uint8Array | AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return body instanceof Uint8Array ? once(body) : body;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
