/** Cross-origin reads by web pages (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export interface Cors {
  /** Whether any origin is allowed at all. */
  readonly isOn: boolean;
  /** Adds what a page of an allowed origin needs to read the answer. */
  decorate(origin: string | null, headers: Headers): void;
  /** Headers of the answer to a preflight; the origin's own come from {@link decorate}. */
  preflight(request: Request, methods: readonly string[]): Record<string, string>;
  /** Whether pages of this origin may call with the user's cookie. */
  trusts(origin: string): boolean;
}

const EXPOSED = [
  'X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, ETag, Content-Disposition, Location',
  'Accept-Ranges, Content-Range',
  'Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length',
  'Upload-Defer-Length, Upload-Metadata, Upload-Concat, Upload-Expires, Upload-File-Id',
].join(', ');
const PREFLIGHT_MAX_AGE_SECONDS = 600;

/** @param origins allowed origins; `*` lets every page read, but never with cookies. */
export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  const any = allowed.has('*');
  return {
    isOn: origins.length > 0,
    decorate(origin, headers) {
      headers.append('vary', 'Origin');
      if (origin === null) return;
      if (allowed.has(origin)) {
        headers.set('access-control-allow-origin', origin);
        headers.set('access-control-allow-credentials', 'true');
      } else if (any) headers.set('access-control-allow-origin', '*');
      else return;
      headers.set('access-control-expose-headers', EXPOSED);
    },
    preflight(request, methods) {
      const wanted = request.headers.get('access-control-request-headers');
      return {
        'access-control-allow-methods': methods.join(', '),
        ...(wanted ? { 'access-control-allow-headers': wanted } : {}),
        'access-control-max-age': String(PREFLIGHT_MAX_AGE_SECONDS),
      };
    },
    trusts: (origin) => allowed.has(origin),
  };
}
