/** Why a request went to the origin (RFC 9211 §2.2). */
export type Forward = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'request' | 'stale';

/** What this cache did with a request. */
export type Handling =
  | { readonly kind: 'hit'; readonly ttl: number; readonly detail?: string }
  | {
      readonly kind: 'forward';
      readonly reason: Forward;
      /** Of the origin's answer. */
      readonly status?: number;
      readonly isStored?: boolean;
      /** The answer of somebody else's request. */
      readonly isCollapsed?: boolean;
      readonly detail?: string;
    };

/** The field `Cache-Status` (RFC 9211). Details are tokens of ours, never anything that was sent. */
export function toCacheStatus(handling: Handling): string {
  const detail = handling.detail === undefined ? '' : `; detail=${handling.detail}`;
  if (handling.kind === 'hit') return `bunkhouse; hit; ttl=${Math.ceil(handling.ttl)}${detail}`;
  const { reason, status, isStored, isCollapsed } = handling;
  return (
    `bunkhouse; fwd=${reason}${status === undefined ? '' : `; fwd-status=${status}`}` +
    `${isStored ? '; stored' : ''}${isCollapsed ? '; collapsed' : ''}${detail}`
  );
}

/** Sets the field, behind what caches nearer to the origin have said (RFC 9211 §2). */
export function setCacheStatus(headers: Headers, handling: Handling): void {
  headers.append('cache-status', toCacheStatus(handling));
}
