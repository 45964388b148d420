import { defineProblems } from './errors.ts';

/** Failures that every room may meet. */
export const serverProblems = defineProblems('server', {
  internal: {
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong on our side. The request id finds it in the log.',
  },
  busy: {
    status: 503,
    title: 'Too busy',
    detail: 'More of this work is waiting than can be done soon. Try again shortly.',
  },
  starting: {
    status: 503,
    title: 'Starting',
    detail: 'This server has just been started and is not ready yet. Try again shortly.',
  },
  draining: {
    status: 503,
    title: 'Shutting down',
    detail: 'This server is shutting down. Try again; another one or the restarted one will answer.',
  },
});

/** Failures of the HTTP request itself. */
export const requestProblems = defineProblems('request', {
  'malformed-json': { status: 400, title: 'Malformed JSON', detail: 'The body is not valid JSON.' },
  malformed: { status: 400, title: 'Malformed request', detail: 'The request cannot be understood as HTTP asks.' },
  invalid: { status: 422, title: 'Invalid request', detail: 'One or more fields are not as expected.' },
  'not-found': { status: 404, title: 'Not found', detail: 'There is nothing at this address.' },
  'method-not-allowed': {
    status: 405,
    title: 'Method not allowed',
    detail: 'This address exists, but not for this method. The Allow header lists those it has.',
  },
  'too-large': { status: 413, title: 'Body too large', detail: 'The body is larger than this server accepts here.' },
  'unsupported-media-type': {
    status: 415,
    title: 'Unsupported media type',
    detail: 'This address takes a body of another content type.',
  },
  misdirected: {
    status: 421,
    title: 'Unknown host',
    detail: 'This server does not answer for that host. Add it to ALLOWED_HOSTS or set PUBLIC_URL.',
  },
  'rate-limited': {
    status: 429,
    title: 'Too many requests',
    detail: 'The allowance is used up. Retry-After says when to come back.',
  },
});

/** Failures of an object store. */
export const storageProblems = defineProblems('storage', {
  'too-large': { status: 413, title: 'Object too large', detail: 'The object is larger than allowed here.' },
  full: { status: 507, title: 'Storage full', detail: 'There is no room left to store this. Nothing was kept.' },
  unavailable: { status: 503, title: 'Storage unavailable', detail: 'The storage cannot be reached right now.' },
  gone: { status: 410, title: 'No longer stored', detail: 'What was stored of this so far is gone. Start it again.' },
  'wrong-offset': {
    status: 409,
    title: 'Wrong offset',
    detail: 'The bytes do not follow those that are stored. Ask for the offset and go on from there.',
  },
});

/** Failures of fetching what somebody named. */
export const fetchProblems = defineProblems('fetch', {
  refused: {
    status: 422,
    title: 'Address refused',
    detail: 'Only http and https addresses of the public internet, on their usual ports, are fetched.',
  },
  failed: { status: 422, title: 'Could not fetch', detail: 'Nothing came from the address in time.' },
  'too-large': { status: 413, title: 'Document too large', detail: 'What the address sends is larger than is taken.' },
});

/** Failures of a database. */
export const databaseProblems = defineProblems('database', {
  busy: { status: 503, title: 'Database busy', detail: 'Another process holds the database. Try again shortly.' },
  unavailable: { status: 503, title: 'Database unavailable', detail: 'The database cannot be reached right now.' },
  'unknown-outcome': {
    status: 503,
    title: 'Outcome unknown',
    detail: 'The database did not confirm the change: it may or may not have been kept. Look before repeating it.',
  },
  'unsupported-value': {
    status: 422,
    title: 'Value not supported',
    detail: 'A text holds a NUL character, which the database in use cannot keep.',
  },
  full: { status: 507, title: 'Database full', detail: 'There is no room left to store this. Nothing was kept.' },
  conflict: { status: 409, title: 'Conflict', detail: 'This clashes with something that exists already.' },
  'read-only': { status: 503, title: 'Database read-only', detail: 'The database cannot be written to right now.' },
  corrupt: { status: 503, title: 'Database damaged', detail: 'The database file is damaged. Restore a backup.' },
});

/** Failures of running PHP. */
export const phpProblems = defineProblems('php', {
  unavailable: {
    status: 503,
    title: 'PHP unavailable',
    detail: 'PHP does not run here right now: there is no php-fpm on this machine, or it is being restarted.',
  },
  busy: { status: 503, title: 'PHP busy', detail: 'Every PHP process is busy. Try again shortly.' },
  timeout: { status: 504, title: 'PHP too slow', detail: 'The script did not answer in time.' },
  'bad-answer': {
    status: 502,
    title: 'Bad answer from PHP',
    detail: 'The script ended early, or its answer is not readable. The request id finds the reason in the log.',
  },
  'too-many-headers': {
    status: 431,
    title: 'Headers too large',
    detail: 'The headers or the address of the request are larger than PHP takes.',
  },
});

/** Failures of proving who one is, or of what one may do. They are met at the gate and in every room. */
export const accessProblems = defineProblems('auth', {
  required: { status: 401, title: 'Sign-in required', detail: 'Send an access token as Authorization: Bearer.' },
  'invalid-token': {
    status: 401,
    title: 'Invalid token',
    detail: 'The access token is not valid, has expired or was revoked. Refresh it or sign in again.',
  },
  forbidden: { status: 403, title: 'Not allowed', detail: 'Your account does not have the right to do this.' },
  'user-required': {
    status: 403,
    title: 'An account is required',
    detail: 'A server key has no account of its own; call this with the token of a person.',
  },
  'cross-site': {
    status: 403,
    title: 'Cross-site request refused',
    detail: 'A request that is authenticated by cookie must come from a page of this site or an allowed origin.',
  },
});
