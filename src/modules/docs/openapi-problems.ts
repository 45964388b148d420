import type { JsonSchema, ResponseObject } from './openapi-types.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** What decides which failures an operation may answer with before its handler runs. */
export interface OperationFacts {
  /** A right is needed. */
  readonly isGuarded: boolean;
  /** A credential is looked at, whether or not it is needed. */
  readonly takesCredential: boolean;
  readonly hasBody: boolean;
  readonly hasQuery: boolean;
  readonly hasPathParameters: boolean;
}

interface ProblemResponse {
  readonly status: string;
  /** Key in `components.responses`. */
  readonly name: string;
  readonly description: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly applies: (facts: OperationFacts) => boolean;
}

const retryAfter = { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } };
const challenge = { 'WWW-Authenticate': { description: 'How to prove who is asking.', schema: { type: 'string' } } };

/** In the order in which the gate and the router may refuse. */
const RESPONSES: readonly ProblemResponse[] = [
  {
    status: '429',
    name: 'TooManyRequests',
    description: 'The allowance is used up.',
    headers: retryAfter,
    applies: () => true,
  },
  {
    status: '401',
    name: 'Unauthorized',
    description: 'No credential, or one that is not valid any more.',
    headers: challenge,
    applies: ({ takesCredential }) => takesCredential,
  },
  {
    status: '403',
    name: 'Forbidden',
    description: 'The caller does not have the right to do this.',
    applies: ({ isGuarded }) => isGuarded,
  },
  { status: '400', name: 'BadRequest', description: 'The body cannot be read.', applies: ({ hasBody }) => hasBody },
  { status: '413', name: 'ContentTooLarge', description: 'The body is too large.', applies: ({ hasBody }) => hasBody },
  {
    status: '415',
    name: 'UnsupportedMediaType',
    description: 'The body is of another content type than this takes.',
    applies: ({ hasBody }) => hasBody,
  },
  {
    status: '422',
    name: 'UnprocessableContent',
    description: 'Something in the request is not as expected; `errors` says what.',
    applies: ({ hasBody, hasQuery }) => hasBody || hasQuery,
  },
  {
    status: '404',
    name: 'NotFound',
    description: 'There is no such thing, or it belongs to somebody else.',
    applies: ({ hasPathParameters }) => hasPathParameters,
  },
];

/** The failures that the house itself may answer for such an operation: status → key in `components.responses`. */
export function problemsOf(facts: OperationFacts): ReadonlyMap<string, string> {
  return new Map(RESPONSES.filter(({ applies }) => applies(facts)).map(({ status, name }) => [status, name]));
}

/** The shared responses of the given names, for `components.responses`. */
export function problemComponents(names: ReadonlySet<string>, schema: JsonSchema): Record<string, ResponseObject> {
  const used = RESPONSES.filter(({ name }) => names.has(name));
  return Object.fromEntries(
    used.map(({ name, description, headers }) => [name, problemResponse(description, schema, headers)]),
  );
}

export function problemResponse(
  description: string,
  schema: JsonSchema,
  headers?: ResponseObject['headers'],
): ResponseObject {
  return { description, ...(headers && { headers }), content: { [PROBLEM_TYPE]: { schema } } };
}
