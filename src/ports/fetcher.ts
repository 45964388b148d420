/** Fetches what strangers name, from the public internet and from nowhere else. */
export interface Fetcher {
  /**
   * Fetches one document by GET, without cookies, credentials or anything of the caller. Every address a name resolves to must be
   * public, the connection goes to the very address that was checked, and each redirect is checked anew.
   *
   * @throws AppError `fetch/refused` for what is not fetched, `fetch/failed` for what did not come (no answer in time, a status
   *   other than 2xx, too many redirects), `fetch/too-large` past `maxBytes`, counted after decompression.
   */
  fetch(url: string, options: FetchOptions): Promise<FetchedDocument>;
}

export interface FetchOptions {
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface FetchedDocument {
  /** Where it came from in the end. */
  readonly url: string;
  readonly bytes: Uint8Array;
  readonly contentType: string | null;
}
