import { defineProblems } from '../../kernel/errors.ts';

/** Failures of reading somebody's source. */
export const parseProblems = defineProblems('parse', {
  'too-large': {
    status: 413,
    title: 'Source too large',
    detail: 'The source is larger than this server parses (PARSE_MAX_SIZE).',
  },
  'no-source': {
    status: 422,
    title: 'No source',
    detail: 'Send one of source, fileId and url, or the source itself as the body.',
  },
  'too-deep': { status: 422, title: 'Nested too deeply', detail: 'The source is nested deeper than is read.' },
  'too-many-nodes': { status: 422, title: 'Too many nodes', detail: 'The source has more nodes than are read.' },
  'too-slow': {
    status: 422,
    title: 'Took too long',
    detail: 'The source could not be read in the time that one may take.',
  },
  'too-much-memory': {
    status: 422,
    title: 'Took too much memory',
    detail: 'The source could not be read in the memory that one may take.',
  },
  'output-too-large': {
    status: 422,
    title: 'Answer too large',
    detail: 'What this view makes of the source is larger than is sent. Ask for less of it.',
  },
  crashed: { status: 422, title: 'Parser failed', detail: 'The parser did not survive this source.' },
  syntax: { status: 422, title: 'Syntax error', detail: 'The source is not valid, and this view needs one that is.' },
  'not-text': { status: 422, title: 'Not text', detail: 'The source is binary data, or text of an unknown encoding.' },
  selector: { status: 422, title: 'Invalid selector', detail: 'The selector is not one that can be matched.' },
  'source-not-found': {
    status: 404,
    title: 'No such file',
    detail: 'There is no file of this fileId that you may read.',
  },
  'fetch-off': {
    status: 422,
    title: 'Fetching is off',
    detail: 'This server does not fetch URLs (PARSE_FETCH). Send the source itself.',
  },
});
