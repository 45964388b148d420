/**
 * Compresses bytes to a zstd frame of their own (RFC 8878), quickly rather than well, without holding the event loop. The bytes stay
 * as they are until it resolves.
 */
export type Compressor = (bytes: Uint8Array) => Promise<Uint8Array>;
