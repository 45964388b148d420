import { Type } from '@sinclair/typebox';
import { type Static, t } from 'elysia';
import { Timestamp } from '../../web/schemas.ts';
import type { FileRecord } from './store.ts';

const VisibilitySchema = t.Union([t.Literal('private'), t.Literal('public')], {
  description: '`private`: you and admins. `public`: everybody who has the link.',
});

/** A file as the API shows it. */
export const FileSchema = t.Object(
  {
    id: t.String(),
    name: t.String({ description: 'A label; it may hold slashes and anything else but control characters.' }),
    // Elysia's own integer also takes texts, for queries, and has every answer encoded for it.
    size: Type.Integer({ description: 'Bytes.' }),
    type: t.String({ description: 'Media type by the content.' }),
    sha256: t.String({ description: 'SHA-256 of the content, lower-case hex.' }),
    visibility: VisibilitySchema,
    createdAt: Timestamp,
    updatedAt: Timestamp,
    url: t.String({ description: 'Path of the content.' }),
    thumbhash: t.Optional(
      t.String({
        description: 'ThumbHash of an image, base64: a blur to show meanwhile. There soon after the upload.',
      }),
    ),
  },
  { title: 'File' },
);

/** What may be changed of a file. */
export const FileChanges = t.Object({
  name: t.Optional(t.String({ description: 'New name, 1 to 255 characters.' })),
  visibility: t.Optional(VisibilitySchema),
});

export function toFile(file: FileRecord): Static<typeof FileSchema> {
  return {
    id: file.id,
    name: file.name,
    size: file.size,
    type: file.type,
    sha256: file.sha256,
    visibility: file.visibility,
    createdAt: new Date(file.createdAt).toISOString(),
    updatedAt: new Date(file.updatedAt).toISOString(),
    url: `/api/files/${file.id}/content`,
    ...(file.thumbhash ? { thumbhash: file.thumbhash } : {}),
  };
}
