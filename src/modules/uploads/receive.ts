import { requestProblems } from '../../kernel/problems.ts';
import { contextOf } from '../../web/context.ts';
import type { Visibility } from './admission.ts';
import { withIncomingBody } from './incoming.ts';
import { readMultipart } from './multipart.ts';
import { uploadProblems } from './problems.ts';
import type { UploadService } from './service.ts';
import type { OpenTurn } from './turns.ts';

/** Keeps the files of a form (`POST /api/files`). */
export function receiveForm(service: UploadService, openTurn: OpenTurn, ownerId: string, request: Request) {
  const contentType = request.headers.get('content-type') ?? '';
  return withIncomingBody(request, openTurn, (form) =>
    service.createAll(ownerId, declaredBytes(request), async (add) => {
      const fields = await readMultipart(form, contentType, ({ field, name, body }) => {
        if (field !== 'file') throw uploadProblems.create('unexpected-file');
        return add(name, body);
      });
      return readVisibility(fields.get('visibility'));
    }),
  );
}

/** Keeps a raw body under the name that ends the path (`PUT /api/files/by-name/:name`). */
export function receiveRaw(service: UploadService, openTurn: OpenTurn, ownerId: string, request: Request) {
  const name = decodeLastSegment(contextOf(request).path);
  return withIncomingBody(request, openTurn, (body) => service.putByName(ownerId, name, body, declaredBytes(request)));
}

function declaredBytes(request: Request): number | null {
  const declared = request.headers.get('content-length');
  return declared === null ? null : Number(declared);
}

/** The name as it was sent, whatever it holds: `%2F` is a slash in a name, not a separator. */
function decodeLastSegment(path: string): string {
  try {
    return decodeURIComponent(path.replace(/\/$/, '').split('/').at(-1) as string);
  } catch {
    throw requestProblems.create('malformed', { detail: 'The name in the path is not valid percent-encoded UTF-8.' });
  }
}

function readVisibility(value: string | undefined): Visibility {
  if (value === undefined || value === 'private' || value === 'public') return value ?? 'private';
  throw requestProblems.create('invalid', {
    faults: [{ pointer: '/visibility', detail: "Expected 'private' or 'public'" }],
  });
}
