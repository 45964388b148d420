import { Elysia } from 'elysia';
import type { ServerCaller, UserCaller } from '../kernel/caller.ts';
import { contextOf } from './context.ts';

/**
 * Who may call a route. Each route carries exactly one of these; the gate reads it from the route's metadata before it
 * touches the body, and the handler receives a `caller` of the fitting type.
 *
 * - `anyone`: no right needed; `caller` may be null.
 * - `signedIn`: a person with an account.
 * - `identified`: a person with an account, or a server with `SERVER_KEY`.
 * - `admin`: a person with the admin role, or a server with `SERVER_KEY`.
 * - `publisher`: the same, or a program with the key for publishing.
 */
export type Access = 'anyone' | 'signedIn' | 'identified' | 'admin' | 'publisher';

/** Keys of a route's OpenAPI `detail` that the gate reads; they are taken out of the published document. */
export const ACCESS_KEY = 'x-access';
export const LIMIT_KEY = 'x-limit';
export const WIRE_KEY = 'x-wire';

/** Headers that a wire of its own asks for, whether its handler is reached or not. */
export interface WireHeaders {
  /** On every answer of the route, failures included. */
  readonly always: Readonly<Record<string, string>>;
  /** On the answer to OPTIONS at its path. */
  readonly options: Readonly<Record<string, string>>;
}

const bearer = [{ bearer: [] }, { password: [] }, { cookie: [] }];

/** The macros that routes use: `{ signedIn: true }`. Shared by every module; it has a name and no routes. */
export const guard = new Elysia({ name: 'bunkhouse/guard' }).macro({
  anyone: {
    detail: { [ACCESS_KEY]: 'anyone', security: [] } as object,
    resolve: ({ request }) => ({ caller: contextOf(request).caller }),
  },
  signedIn: {
    detail: { [ACCESS_KEY]: 'signedIn', security: bearer } as object,
    resolve: ({ request }) => ({ caller: contextOf(request).caller as UserCaller }),
  },
  identified: {
    detail: { [ACCESS_KEY]: 'identified', security: bearer } as object,
    resolve: ({ request }) => ({ caller: contextOf(request).caller as UserCaller | ServerCaller }),
  },
  admin: {
    detail: { [ACCESS_KEY]: 'admin', security: bearer } as object,
    resolve: ({ request }) => ({ caller: contextOf(request).caller as UserCaller | ServerCaller }),
  },
  publisher: {
    detail: { [ACCESS_KEY]: 'publisher', security: bearer } as object,
    resolve: ({ request }) => ({ caller: contextOf(request).caller as UserCaller | ServerCaller }),
  },
  /** Counts the route against the stricter limit for signing in (`RATE_LIMIT_AUTH`). */
  signInLimit: {
    detail: { [LIMIT_KEY]: 'auth' } as object,
  },
  wire: (headers: WireHeaders) => ({
    detail: { [WIRE_KEY]: headers } as object,
  }),
});
