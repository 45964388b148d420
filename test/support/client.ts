/** What came back, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; empty when it is none. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface CallOptions {
  readonly token?: string;
  readonly json?: unknown;
  /** An `application/x-www-form-urlencoded` body, as pairs or as it goes over the wire. */
  readonly form?: Readonly<Record<string, string>> | string;
  readonly body?: RequestInit['body'];
  readonly headers?: Readonly<Record<string, string>>;
  /** Without it, an answer of 500 or more is a failure of the test. */
  readonly may5xx?: boolean;
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly token_type: string;
  readonly user: { readonly id: string; readonly email: string; readonly name: string; readonly role: string };
}

export type Call = (method: string, path: string, options?: CallOptions) => Promise<Answer>;

/** Calls one server. */
export function createClient(url: string): Call {
  return async (method, path, { token, json, form, body, headers, may5xx = false } = {}) => {
    const sent = new Headers(headers);
    if (token !== undefined) sent.set('authorization', `Bearer ${token}`);
    if (json !== undefined && !sent.has('content-type')) sent.set('content-type', 'application/json');
    if (form !== undefined) sent.set('content-type', 'application/x-www-form-urlencoded');
    const content =
      json !== undefined ? JSON.stringify(json) : form !== undefined ? new URLSearchParams(form).toString() : body;
    const response = await fetch(url + path, {
      method,
      headers: sent,
      redirect: 'manual',
      ...(content === undefined ? {} : { body: content }),
    });
    const text = await response.text();
    if (response.status >= 500 && !may5xx) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return { status: response.status, headers: response.headers, text, json: parse(text) };
  };
}

export const PASSWORD = 'correct horse battery';

/** Creates an account and signs in. */
export async function register(call: Call, email: string, password = PASSWORD): Promise<Tokens> {
  const answer = await call('POST', '/api/auth/register', { json: { email, password } });
  if (answer.status !== 201) throw new Error(`registering answered ${answer.status}: ${answer.text}`);
  return answer.json as unknown as Tokens;
}

/** Signs in. */
export async function signIn(call: Call, email: string, password = PASSWORD): Promise<Tokens> {
  const answer = await call('POST', '/api/auth/login', { json: { email, password } });
  if (answer.status !== 200) throw new Error(`signing in answered ${answer.status}: ${answer.text}`);
  return answer.json as unknown as Tokens;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
