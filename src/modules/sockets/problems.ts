import { defineProblems } from '../../kernel/errors.ts';

/** Failures of the HTTP side of realtime. The socket wires have codes of their own. */
export const socketProblems = defineProblems('sockets', {
  'upgrade-required': {
    status: 426,
    title: 'WebSocket required',
    detail: 'This address speaks WebSocket. Connect with a WebSocket client.',
  },
  'origin-refused': {
    status: 403,
    title: 'Origin refused',
    detail: 'Pages of this origin may not connect. Add it to CORS_ORIGINS or set PUBLIC_URL.',
  },
  'too-many-connections': {
    status: 503,
    title: 'Too many connections',
    detail: 'This server holds as many realtime connections as it may. Try again shortly.',
  },
  'invalid-topic': {
    status: 422,
    title: 'Invalid topic',
    detail: 'A topic has 1 to 255 bytes, none of them a control character.',
  },
  'message-too-large': {
    status: 413,
    title: 'Message too large',
    detail: 'A message carries at most 64 KiB of data.',
  },
  'topic-forbidden': { status: 403, title: 'Topic not allowed', detail: 'You may not do this on that topic.' },
  'invalid-connect': {
    status: 400,
    title: 'Invalid connect request',
    detail: 'cf_connect is a JSON object with `token` and `subs`, both optional.',
  },
  'too-many-topics': {
    status: 422,
    title: 'Too many topics',
    detail: 'One connection subscribes to at most 128 topics.',
  },
  'pusher-off': {
    status: 404,
    title: 'Pusher is off',
    detail: 'Set PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET to serve Pusher clients.',
  },
});
