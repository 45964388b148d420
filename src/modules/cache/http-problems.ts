import { defineProblems } from '../../kernel/errors.ts';

export const httpCacheProblems = defineProblems('http-cache', {
  'nothing-stored': {
    status: 504,
    title: 'Nothing stored',
    detail: 'The request asked for a stored answer only (only-if-cached), and there is none that may be given.',
  },
});
