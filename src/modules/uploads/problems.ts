import { defineProblems } from '../../kernel/errors.ts';

/** Failures of keeping and giving back files. */
export const uploadProblems = defineProblems('uploads', {
  'not-found': { status: 404, title: 'No such file', detail: 'There is no file of this id that you may use.' },
  'too-large': { status: 413, title: 'File too large', detail: 'The file is larger than this server accepts.' },
  'quota-exceeded': {
    status: 413,
    title: 'Quota exceeded',
    detail: 'There is not enough room left in your quota for this. Delete files you no longer need.',
  },
  'too-many-parts': {
    status: 413,
    title: 'Too many parts',
    detail: 'One form carries at most 100 files and 20 other fields of up to 1 KiB. Send the rest in further requests.',
  },
  'invalid-name': {
    status: 422,
    title: 'Invalid file name',
    detail: 'A file name has 1 to 255 characters, none of them a control character.',
  },
  'invalid-multipart': {
    status: 400,
    title: 'Malformed form',
    detail: 'The body is not a complete multipart/form-data form with the boundary that Content-Type names.',
  },
  'no-file': { status: 422, title: 'No file', detail: 'The form has no file. Put one or more into fields named file.' },
  'unexpected-file': {
    status: 422,
    title: 'Unexpected file',
    detail: 'The form has a file in a field of another name. Files go into fields named file.',
  },
  'not-an-image': {
    status: 422,
    title: 'Not an image',
    detail: 'Pictures are made of JPEG, PNG, WebP, GIF and BMP files that are not damaged.',
  },
  'image-too-large': {
    status: 422,
    title: 'Image too large',
    detail: 'Decoding this image costs more than it is worth: it has too many pixels or bytes.',
  },
  'invalid-link': {
    status: 403,
    title: 'Invalid link',
    detail: 'This server did not make that link, not for this use, or has changed its secret since. Ask for a new one.',
  },
  'link-over': {
    status: 410,
    title: 'Link no longer good',
    detail: 'The link has expired, was revoked, or was for one use and has been used. Ask for a new one.',
  },
  'too-many-links': {
    status: 409,
    title: 'Too many links',
    detail: 'A file has at most 1000 links. Revoke some that are no longer needed.',
  },
  'too-many-files': {
    status: 413,
    title: 'Too many files',
    detail: 'You keep as many files as this server allows. Delete some that you no longer need.',
  },
  'type-not-allowed': {
    status: 415,
    title: 'Type not allowed',
    detail: 'This server does not keep content of that type. The type is judged by the content, not by its name.',
  },
  refused: {
    status: 422,
    title: 'File refused',
    detail: 'A rule of this site does not allow this file. Nothing was kept.',
  },
  interrupted: {
    status: 400,
    title: 'Upload interrupted',
    detail: 'The body ended before it was complete. Nothing was kept; send it again.',
  },
  stalled: {
    status: 408,
    title: 'Upload stalled',
    detail: 'No data arrived for a minute. Nothing was kept; send it again.',
  },
  'unsupported-version': {
    status: 412,
    title: 'Unsupported tus version',
    detail: 'Send Tus-Resumable: 1.0.0 with every request to a resumable upload.',
  },
  'invalid-header': {
    status: 400,
    title: 'Invalid upload header',
    detail: 'A header of the request is missing or not as tus 1.0.0 asks.',
  },
  'beyond-length': {
    status: 413,
    title: 'More bytes than announced',
    detail: 'The upload would become longer than its Upload-Length. What fits is kept.',
  },
  'checksum-mismatch': {
    status: 460,
    title: 'Checksum mismatch',
    detail: 'The bytes that arrived do not have the checksum of the header. They were thrown away; send them again.',
  },
  expired: { status: 410, title: 'Upload expired', detail: 'Nothing was added for too long. Start the upload again.' },
  'final-upload': {
    status: 403,
    title: 'Upload made of others',
    detail: 'Nothing can be added to an upload that others were joined to.',
  },
  'unfinished-part': {
    status: 400,
    title: 'Part missing',
    detail:
      'Each upload that is to be joined must be one of yours, made as a partial one, complete and not used before.',
  },
  'direct-unsupported': {
    status: 501,
    title: 'No direct uploads here',
    detail: 'Files of this server are not kept in a bucket that clients can reach. Send the content to the server.',
  },
  'direct-not-found': {
    status: 404,
    title: 'No such direct upload',
    detail: 'There is no direct upload of this id that you began, or it is over.',
  },
  'not-complete': {
    status: 409,
    title: 'Content not there yet',
    detail: 'The bucket does not have all of the content. Put what is missing and complete the upload again.',
  },
  'size-mismatch': {
    status: 422,
    title: 'Wrong size',
    detail: 'The content has not the size that was announced. It was thrown away.',
  },
  'hash-mismatch': {
    status: 422,
    title: 'Wrong hash',
    detail: 'The content has not the SHA-256 that was announced. It was thrown away.',
  },
  locked: {
    status: 423,
    title: 'Upload locked',
    detail: 'Another request writes to this upload and did not let go in time. Ask for the offset and try again.',
  },
});
