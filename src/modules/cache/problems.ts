import { defineProblems } from '../../kernel/errors.ts';

export const cacheProblems = defineProblems('cache', {
  'load-timeout': {
    status: 504,
    title: 'Took too long',
    detail: 'What was asked for is not in the cache, and making it took longer than a caller waits.',
  },
  'not-kept': {
    status: 413,
    title: 'Not kept',
    detail: 'The value is larger than one entry of the cache may be.',
  },
  'no-http-cache': {
    status: 501,
    title: 'No HTTP cache',
    detail: 'This server keeps no HTTP answers, so there is nothing to explain or to warm.',
  },
});
