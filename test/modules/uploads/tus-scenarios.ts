import { createHash } from 'node:crypto';
import { crc32c } from '../../../src/modules/uploads/crc32c.ts';

/** One request and what must come back. `$1` in a path or header is the address that the first creation gave, `$2` the second's. */
export interface Step {
  readonly send: `${'POST' | 'HEAD' | 'GET' | 'PATCH' | 'DELETE' | 'OPTIONS'} ${string}`;
  /** `Tus-Resumable: 1.0.0` goes along unless it is set to null here. */
  readonly with?: Readonly<Record<string, string | null>>;
  readonly body?: string;
  /** Alice when not said; null for nobody. */
  readonly as?: 'bob' | null;
  readonly status: number;
  /** Headers of the answer; null where there must be none. */
  readonly has?: Readonly<Record<string, string | RegExp | null>>;
  readonly code?: string;
}

export interface Scenario {
  /** A sentence of the protocol, or of our contract. */
  readonly rule: string;
  readonly steps: readonly Step[];
  /** Content of the files that are there in the end, oldest first. None when not said. */
  readonly files?: readonly string[];
}

const OCTETS = { 'Content-Type': 'application/offset+octet-stream' };
const base64 = (text: string) => Buffer.from(text).toString('base64');
const sum = (algorithm: 'sha1' | 'sha256', text: string) =>
  `${algorithm} ${createHash(algorithm).update(text).digest('base64')}`;
const crc = (text: string) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(crc32c(Buffer.from(text)));
  return `crc32c ${bytes.toString('base64')}`;
};

const create = (length: number, more: Record<string, string> = {}): Step => ({
  send: 'POST /api/uploads',
  with: { 'Upload-Length': String(length), ...more },
  status: 201,
  has: { location: /^\/api\/uploads\/[0-9a-f-]{36}$/ },
});
const patch = (path: string, offset: number, body: string, more: Record<string, string | null> = {}) => ({
  send: `PATCH ${path}` as const,
  with: { ...OCTETS, 'Upload-Offset': String(offset), ...more },
  body,
});
const offsetIs = (path: string, offset: number, has: Step['has'] = {}): Step => ({
  send: `HEAD ${path}`,
  status: 200,
  has: { 'upload-offset': String(offset), ...has },
});

/** https://tus.io/protocols/resumable-upload, version 1.0.0. */
export const SCENARIOS: Readonly<Record<string, readonly Scenario[]>> = {
  'the core protocol': [
    {
      rule: 'The Server MUST always include the Upload-Offset header in the response for a HEAD request, even if the offset is 0',
      steps: [create(5), offsetIs('$1', 0, { 'upload-length': '5' })],
    },
    {
      rule: 'The Server MUST prevent the client and/or proxies from caching the response by adding Cache-Control: no-store',
      steps: [create(5), offsetIs('$1', 0, { 'cache-control': 'no-store' })],
    },
    {
      rule: 'The Server MUST acknowledge successful PATCH requests with the 204 No Content status, with the new offset',
      steps: [
        create(10),
        { ...patch('$1', 0, 'hello'), status: 204, has: { 'upload-offset': '5', 'upload-file-id': null } },
        offsetIs('$1', 5),
        {
          ...patch('$1', 5, 'world'),
          status: 204,
          has: { 'upload-offset': '10', 'upload-file-id': /^[0-9a-f-]{36}$/ },
        },
        offsetIs('$1', 10, { 'upload-file-id': /^[0-9a-f-]{36}$/ }),
      ],
      files: ['helloworld'],
    },
    {
      rule: 'If the offsets do not match, the Server MUST respond with the 409 Conflict status without modifying the upload',
      steps: [
        create(10),
        { ...patch('$1', 1, 'hello'), status: 409, code: 'storage/wrong-offset' },
        { ...patch('$1', 0, 'hello'), status: 204 },
        { ...patch('$1', 0, 'hello'), status: 409 },
        { ...patch('$1', 6, 'hello'), status: 409 },
        offsetIs('$1', 5),
      ],
    },
    {
      rule: 'All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise 415',
      steps: [
        create(5),
        { ...patch('$1', 0, 'hello', { 'Content-Type': 'text/plain' }), status: 415 },
        { ...patch('$1', 0, 'hello', { 'Content-Type': 'application/offset+octet-stream; x=y' }), status: 415 },
        offsetIs('$1', 0),
      ],
    },
    {
      rule: 'Upload-Offset and Upload-Length MUST be a non-negative integer',
      steps: [
        create(5),
        ...['-1', '1.5', 'x', '', '1e1', '99999999999999999999'].flatMap((value): Step[] => [
          { ...patch('$1', 0, 'hello', { 'Upload-Offset': value }), status: 400, code: 'uploads/invalid-header' },
          { ...create(0, { 'Upload-Length': value }), status: 400, has: { location: null } },
        ]),
        { ...patch('$1', 0, 'hello', { 'Upload-Offset': null }), status: 400 },
        offsetIs('$1', 0),
      ],
    },
    {
      rule: 'If the resource is not found, the Server SHOULD return either the 404, 410 or 403 status without Upload-Offset',
      steps: [
        {
          send: 'HEAD /api/uploads/0198c0de-0000-7000-8000-000000000000',
          status: 404,
          has: { 'upload-offset': null, 'tus-resumable': '1.0.0' },
        },
        { ...patch('/api/uploads/0198c0de-0000-7000-8000-000000000000', 0, 'x'), status: 404 },
        { send: 'DELETE /api/uploads/nonsense', status: 404 },
      ],
    },
    {
      rule: 'Tus-Resumable MUST be in every request; a version that is not supported is 412 with Tus-Version, and nothing is done',
      steps: [
        create(5),
        ...[null, '0.2.2', '1.0.1'].flatMap((version): Step[] => {
          const answer = { status: 412, has: { 'tus-version': '1.0.0' } };
          return [
            { ...create(5), with: { 'Upload-Length': '5', 'Tus-Resumable': version }, ...answer },
            { ...patch('$1', 0, 'hello', { 'Tus-Resumable': version }), ...answer },
            { send: 'HEAD $1', with: { 'Tus-Resumable': version }, ...answer },
            { send: 'DELETE $1', with: { 'Tus-Resumable': version }, ...answer },
          ];
        }),
        offsetIs('$1', 0),
      ],
    },
    {
      rule: 'An OPTIONS request gathers information about the configuration; it needs no version and no sign-in',
      steps: ['/api/uploads', '/api/uploads/'].map((path) => ({
        send: `OPTIONS ${path}`,
        with: { 'Tus-Resumable': null },
        as: null,
        status: 204,
        has: {
          'tus-version': '1.0.0',
          'tus-max-size': '1000',
          'tus-extension':
            'creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation',
          'tus-checksum-algorithm': 'sha1,sha256,crc32c',
          allow: 'POST, OPTIONS',
        },
      })),
    },
    {
      rule: 'X-HTTP-Method-Override … MUST be interpreted as the request’s method; the actual method MUST be ignored',
      steps: [
        create(5),
        { ...patch('$1', 0, 'hel', { 'X-HTTP-Method-Override': 'PATCH' }), send: 'POST $1', status: 204 },
        { send: 'POST $1', with: { 'X-HTTP-Method-Override': 'HEAD' }, status: 200, has: { 'upload-offset': '3' } },
        { send: 'POST $1', status: 405 },
        { send: 'POST $1', with: { 'X-HTTP-Method-Override': 'DELETE' }, status: 204 },
        { send: 'HEAD $1', status: 404 },
      ],
    },
    {
      rule: 'More than Upload-Length is never stored',
      steps: [
        create(5),
        { ...patch('$1', 0, 'hello!'), status: 413, code: 'uploads/beyond-length' },
        offsetIs('$1', 0),
        { ...patch('$1', 0, 'hello'), status: 204 },
        { ...patch('$1', 5, '!'), status: 413 },
        { ...patch('$1', 5, ''), status: 204, has: { 'upload-offset': '5' } },
      ],
      files: ['hello'],
    },
  ],
  creation: [
    {
      rule: 'An empty POST request is used to create a new upload resource; a length of zero completes it',
      steps: [
        { ...create(0), has: { 'upload-offset': '0', 'upload-file-id': /./, 'upload-expires': null } },
        offsetIs('$1', 0, { 'upload-length': '0' }),
      ],
      files: [''],
    },
    {
      rule: 'Upload-Metadata MUST come back as it was sent; its filename names the file and its filetype is not believed',
      steps: [
        create(5, {
          'Upload-Metadata': `filename ${base64('ä "q".txt')},filetype ${base64('text/html')},is_confidential,visibility ${base64('public')}`,
        }),
        offsetIs('$1', 0, {
          'upload-metadata': `filename ${base64('ä "q".txt')},filetype ${base64('text/html')},is_confidential,visibility ${base64('public')}`,
        }),
        { ...patch('$1', 0, 'hello'), status: 204 },
      ],
      files: ['hello'],
    },
    ...[
      'key !!!',
      `a ${base64('1')},a ${base64('2')}`,
      ',',
      `visibility ${base64('secret')}`,
      `a ${'A'.repeat(9000)}`,
    ].map((metadata) => ({
      rule: `metadata must be pairs of unique keys and Base64, and short: ${metadata.slice(0, 24)}`,
      steps: [{ ...create(5, { 'Upload-Metadata': metadata }), status: 400, has: { location: null } }],
    })),
    {
      rule: 'a file name with a control character is refused before a byte is sent',
      steps: [
        {
          ...create(5, { 'Upload-Metadata': `filename ${base64('a\nb')}` }),
          status: 422,
          code: 'uploads/invalid-name',
          has: {},
        },
      ],
    },
    {
      rule: 'If the length of the upload exceeds the maximum … the Server MUST respond with the 413 status',
      steps: [{ ...create(1001), status: 413, code: 'uploads/too-large', has: { location: null } }, create(1000)],
    },
    {
      rule: 'Exactly one of Upload-Length and Upload-Defer-Length is there',
      steps: [
        { send: 'POST /api/uploads', status: 400, code: 'uploads/invalid-header' },
        { send: 'POST /api/uploads', with: { 'Upload-Length': '5', 'Upload-Defer-Length': '1' }, status: 400 },
      ],
    },
  ],
  'creation-with-upload': [
    {
      rule: 'The Server MUST include the Upload-Offset in its response',
      steps: [
        { ...create(10, OCTETS), body: 'hello', has: { 'upload-offset': '5', location: /./ } },
        offsetIs('$1', 5),
        { ...patch('$1', 5, 'world'), status: 204 },
      ],
      files: ['helloworld'],
    },
    {
      rule: 'All bytes may come along',
      steps: [{ ...create(5, OCTETS), body: 'hello', has: { 'upload-offset': '5', 'upload-file-id': /./ } }],
      files: ['hello'],
    },
    {
      rule: 'The Client MUST include the Content-Type: application/offset+octet-stream header',
      steps: [{ ...create(5, { 'Content-Type': 'text/plain' }), body: 'hello', status: 415, has: { location: null } }],
    },
    {
      rule: 'bytes that do not have their checksum leave no upload behind',
      steps: [
        {
          ...create(5, { ...OCTETS, 'Upload-Checksum': sum('sha1', 'other') }),
          body: 'hello',
          status: 460,
          has: { location: null },
        },
      ],
    },
  ],
  'creation-defer-length': [
    {
      rule: 'As long as the length is not known, the Server MUST set Upload-Defer-Length: 1 in all responses to HEAD requests',
      steps: [
        { send: 'POST /api/uploads', with: { 'Upload-Defer-Length': '1' }, status: 201 },
        offsetIs('$1', 0, { 'upload-defer-length': '1', 'upload-length': null }),
        { ...patch('$1', 0, 'hello'), status: 204 },
        offsetIs('$1', 5, { 'upload-defer-length': '1' }),
        { ...patch('$1', 5, 'world', { 'Upload-Length': '12' }), status: 204 },
        offsetIs('$1', 10, { 'upload-length': '12', 'upload-defer-length': null }),
        { ...patch('$1', 10, '!!'), status: 204, has: { 'upload-file-id': /./ } },
      ],
      files: ['helloworld!!'],
    },
    {
      rule: 'Upload-Defer-Length MUST be 1',
      steps: [{ send: 'POST /api/uploads', with: { 'Upload-Defer-Length': '2' }, status: 400 }],
    },
    {
      rule: 'Once the length is set it MUST NOT be changed, and it cannot be less than what is there or more than is allowed',
      steps: [
        { send: 'POST /api/uploads', with: { 'Upload-Defer-Length': '1' }, status: 201 },
        { ...patch('$1', 0, 'hello'), status: 204 },
        { ...patch('$1', 5, '', { 'Upload-Length': '4' }), status: 400 },
        { ...patch('$1', 5, '', { 'Upload-Length': '1001' }), status: 413 },
        { ...patch('$1', 5, '', { 'Upload-Length': '7' }), status: 204 },
        { ...patch('$1', 5, '', { 'Upload-Length': '8' }), status: 400 },
        { ...patch('$1', 5, '!!', { 'Upload-Length': '7' }), status: 204, has: { 'upload-file-id': /./ } },
      ],
      files: ['hello!!'],
    },
    {
      rule: 'the length may be told when all bytes are there',
      steps: [
        { send: 'POST /api/uploads', with: { 'Upload-Defer-Length': '1', ...OCTETS }, body: 'hello', status: 201 },
        { ...patch('$1', 5, '', { 'Upload-Length': '5' }), status: 204, has: { 'upload-file-id': /./ } },
      ],
      files: ['hello'],
    },
    {
      rule: 'without a length the maximum still holds',
      steps: [
        { send: 'POST /api/uploads', with: { 'Upload-Defer-Length': '1' }, status: 201 },
        { ...patch('$1', 0, 'x'.repeat(1001)), status: 413, code: 'uploads/too-large' },
        { ...patch('$1', 0, 'x'.repeat(1000)), status: 204 },
        { ...patch('$1', 1000, 'x'), status: 413 },
      ],
    },
  ],
  checksum: [
    ...[sum('sha1', 'hello'), sum('sha256', 'hello'), crc('hello')].map((checksum) => ({
      rule: `the Server MUST verify the chunk: ${checksum.split(' ')[0]}`,
      steps: [
        create(10),
        { ...patch('$1', 0, 'hello', { 'Upload-Checksum': checksum }), status: 204, has: { 'upload-offset': '5' } },
        {
          ...patch('$1', 5, 'world', { 'Upload-Checksum': checksum }),
          status: 460,
          code: 'uploads/checksum-mismatch',
          has: { 'upload-offset': null },
        },
        offsetIs('$1', 5),
        { ...patch('$1', 5, 'world'), status: 204 },
      ],
      files: ['helloworld'],
    })),
    ...['md5 XUFAKrxLKna5cZ2REBfFkg==', 'sha1', 'sha1 %%', '', 'SHA1 AAAA'].map((checksum) => ({
      rule: `400 Bad Request if the checksum algorithm is not supported by the server: ${checksum}`,
      steps: [
        create(5),
        { ...patch('$1', 0, 'hello', { 'Upload-Checksum': checksum }), status: 400 },
        offsetIs('$1', 0),
      ],
    })),
  ],
  expiration: [
    {
      rule: 'Upload-Expires MUST be included in every PATCH response if the upload is going to expire, in IMF-fixdate',
      steps: [
        { ...create(10), has: { 'upload-expires': /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/ } },
        { ...patch('$1', 0, 'hello'), status: 204, has: { 'upload-expires': /GMT$/ } },
        { ...patch('$1', 5, 'world'), status: 204, has: { 'upload-expires': null } },
      ],
      files: ['helloworld'],
    },
  ],
  termination: [
    {
      rule: 'the Server SHOULD free associated resources and MUST respond with the 204 No Content status; later requests are 404 or 410',
      steps: [
        create(10),
        { ...patch('$1', 0, 'hello'), status: 204 },
        { send: 'DELETE $1', status: 204 },
        { send: 'HEAD $1', status: 404 },
        { ...patch('$1', 5, 'world'), status: 404 },
        { send: 'DELETE $1', status: 404 },
      ],
    },
    {
      rule: 'the file that an upload became stays',
      steps: [
        { ...create(5, OCTETS), body: 'hello' },
        { send: 'DELETE $1', status: 204 },
        { send: 'HEAD $1', status: 404 },
      ],
      files: ['hello'],
    },
  ],
  concatenation: [
    {
      rule: 'The partial uploads MUST be concatenated in the order of the list; the length is the sum of all',
      steps: [
        { ...create(5, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'world', has: { 'upload-file-id': null } },
        { ...create(6, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'hello ', has: { 'upload-file-id': null } },
        offsetIs('$1', 5, { 'upload-concat': 'partial' }),
        {
          send: 'POST /api/uploads',
          with: {
            'Upload-Concat': 'final;$2 http://elsewhere.test$1',
            'Upload-Metadata': `filename ${base64('joined')}`,
          },
          status: 201,
          has: { 'upload-file-id': /./, 'upload-offset': '11' },
        },
        offsetIs('$3', 11, { 'upload-length': '11', 'upload-concat': /^final;/, 'upload-file-id': /./ }),
        offsetIs('$1', 5),
      ],
      files: ['hello world'],
    },
    {
      rule: 'the same request again, its answer being lost, ends with the same file',
      steps: [
        { ...create(5, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'hello' },
        { send: 'POST /api/uploads', with: { 'Upload-Concat': 'final;$1' }, status: 201 },
        {
          send: 'POST /api/uploads',
          with: { 'Upload-Concat': 'final;$1' },
          status: 201,
          has: { location: '$2', 'upload-file-id': /./ },
        },
      ],
      files: ['hello'],
    },
    {
      rule: 'The Server MUST respond with the 403 Forbidden status to PATCH requests against a final upload',
      steps: [
        { ...create(5, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'hello' },
        { send: 'POST /api/uploads', with: { 'Upload-Concat': 'final;$1' }, status: 201 },
        { ...patch('$2', 5, 'x'), status: 403, code: 'uploads/final-upload' },
      ],
      files: ['hello'],
    },
    {
      rule: 'only complete partial uploads of one’s own are joined',
      steps: [
        create(5, { 'Upload-Concat': 'partial' }),
        create(5),
        { ...create(1, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'x', as: 'bob' },
        ...['$1', '$2', '$3', '$1 $2', '/api/uploads/0198c0de-0000-7000-8000-000000000000'].map(
          (list): Step => ({
            send: 'POST /api/uploads',
            with: { 'Upload-Concat': `final;${list}` },
            status: 400,
            code: 'uploads/unfinished-part',
          }),
        ),
        ...['final', 'final;', 'final;/etc/passwd', 'final;$1 $1', 'Partial', ''].map(
          (value): Step => ({
            send: 'POST /api/uploads',
            with: { 'Upload-Concat': value, 'Upload-Length': '5' },
            status: 400,
            code: 'uploads/invalid-header',
          }),
        ),
      ],
    },
    {
      rule: 'the maximum holds for the sum as well',
      steps: [
        { ...create(600, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'x'.repeat(600) },
        { ...create(401, { 'Upload-Concat': 'partial', ...OCTETS }), body: 'x'.repeat(401) },
        { send: 'POST /api/uploads', with: { 'Upload-Concat': 'final;$1 $2' }, status: 413, code: 'uploads/too-large' },
      ],
    },
  ],
  'who may': [
    {
      rule: 'nobody without an account, and the answer still speaks tus',
      steps: [
        { ...create(5), as: null, status: 401, has: { 'tus-resumable': '1.0.0', location: null } },
        create(5),
        { ...patch('$1', 0, 'hello'), as: null, status: 401, has: { 'tus-resumable': '1.0.0' } },
      ],
    },
    {
      rule: 'others’ uploads do not exist',
      steps: [
        create(5),
        { send: 'HEAD $1', as: 'bob', status: 404, has: { 'upload-offset': null } },
        { ...patch('$1', 0, 'hello'), as: 'bob', status: 404 },
        { send: 'DELETE $1', as: 'bob', status: 404 },
        { send: 'POST $1', with: { 'X-HTTP-Method-Override': 'DELETE' }, as: 'bob', status: 404 },
        offsetIs('$1', 0),
      ],
    },
  ],
};
