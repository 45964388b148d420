import { Type } from '@sinclair/typebox';
import { Elysia, t } from 'elysia';
import { guard } from '../../web/guard.ts';
import { withoutIdleCut } from '../../web/idle-cut.ts';
import { oneOf, Problem, Timestamp } from '../../web/schemas.ts';
import type { DirectService } from './direct-service.ts';
import { FileSchema, toFile } from './file-schema.ts';

const tags = ['files'];

const Draft = t.Object({
  name: t.String({ description: 'File name, 1 to 255 characters.' }),
  size: Type.Integer({ minimum: 0, description: 'Bytes. The bucket takes exactly so many.' }),
  type: t.Optional(
    t.String({
      pattern: '^[\\w.+-]{1,100}/[\\w.+-]{1,100}$',
      description: 'Media type to send with the bytes. That of the file is found from its content.',
    }),
  ),
  sha256: t.Optional(t.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the content, lower-case hex.' })),
  visibility: t.Optional(oneOf(['private', 'public'])),
});

const Ticket = t.Object(
  {
    id: t.String({ description: 'Id of the upload, and of the file that it becomes.' }),
    expiresAt: Timestamp,
    url: t.Optional(t.String({ description: 'Where the whole content is put.' })),
    headers: t.Optional(t.Record(t.String(), t.String(), { description: 'To be sent with the content, exactly so.' })),
    partSize: t.Optional(Type.Integer({ description: 'Bytes of every part but the last.' })),
    parts: t.Optional(
      t.Array(t.Object({ number: Type.Integer(), url: t.String({ description: 'Where this part is put.' }) })),
    ),
  },
  { title: 'DirectUpload' },
);

/** Uploads straight to the bucket, for stores that clients can reach. */
export function directRoutes(service: DirectService) {
  return new Elysia({ name: 'direct-uploads', prefix: '/api/files/direct' })
    .use(guard)
    .post(
      '/',
      async ({ caller, body, set }) => {
        const { expiresAt, ...ticket } = await service.begin(caller.id, body);
        set.status = 201;
        return { ...ticket, expiresAt: new Date(expiresAt).toISOString() };
      },
      {
        signedIn: true,
        body: Draft,
        response: { 201: Ticket, 413: Problem, 422: Problem, 501: Problem, 503: Problem },
        detail: {
          tags,
          operationId: 'beginDirectUpload',
          summary: 'Begin an upload straight to the bucket',
          description:
            'Answers signed URLs. A content of up to 100 MiB is put to `url` with `headers`; a larger one is cut into parts of ' +
            '`partSize` bytes, each put to its own URL. Then the upload is to be completed.',
        },
      },
    )
    .post(
      '/:id/complete',
      async ({ caller, request, params: { id }, set }) => {
        // The content is read once, which takes its time.
        const file = await withoutIdleCut(request, () => service.complete(caller.id, id));
        set.status = 201;
        return toFile(file);
      },
      {
        signedIn: true,
        params: t.Object({ id: t.String({ description: 'Id of the upload.' }) }),
        response: {
          201: FileSchema,
          404: Problem,
          409: Problem,
          410: Problem,
          422: Problem,
          501: Problem,
          503: Problem,
        },
        detail: {
          tags,
          operationId: 'completeDirectUpload',
          summary: 'Make a file of what was sent to the bucket',
          description: 'Size and hash are checked before the file is there. A repeated call answers the same file.',
        },
      },
    );
}
