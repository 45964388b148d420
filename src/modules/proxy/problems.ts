import { defineProblems } from '../../kernel/errors.ts';

export const proxyProblems = defineProblems('proxy', {
  unreachable: {
    status: 502,
    title: 'Upstream unreachable',
    detail: 'The server behind this address cannot be reached, or broke off. Try again shortly.',
  },
  'bad-answer': {
    status: 502,
    title: 'Upstream answer not understood',
    detail: 'The server behind this address answered with something that cannot be passed on.',
  },
  timeout: {
    status: 504,
    title: 'Upstream too slow',
    detail: 'The server behind this address did not answer in time.',
  },
  loop: {
    status: 508,
    title: 'Request loops',
    detail: 'The server behind this address sends the request back to this one. PROXY_ROUTES leads in a circle.',
  },
  'no-websockets': {
    status: 501,
    title: 'WebSockets are not proxied',
    detail: 'Addresses of an upstream take HTTP requests only; connect to it without this server between.',
  },
});
