import { Type } from '@sinclair/typebox';
import { Elysia, t } from 'elysia';
import { fromCursor, toCursor } from '../../web/cursor.ts';
import { guard } from '../../web/guard.ts';
import { ListQuery, listOf, oneOf, Problem, Timestamp } from '../../web/schemas.ts';
import type { LinkRecord } from './link-store.ts';
import type { Links } from './links.ts';

const tags = ['files'];
const DEFAULT_LIMIT = 50;
const MAX_EXPIRES_IN = 366 * 86_400;
const FileId = t.Object({ id: t.String({ description: 'Id of the file.' }) });
const LinkIds = t.Object({
  id: t.String({ description: 'Id of the file.' }),
  linkId: t.String({ description: 'Id of the link.' }),
});
const DISPOSITIONS = ['inline', 'attachment'] as const;

const LinkWish = t.Object({
  expiresIn: Type.Integer({ minimum: 1, maximum: MAX_EXPIRES_IN, description: 'Seconds from now; at most 366 days.' }),
  disposition: t.Optional(oneOf(DISPOSITIONS)),
  once: t.Optional(Type.Boolean({ description: 'The first download uses it up.' })),
});

const NewLink = t.Object(
  {
    id: t.String(),
    url: t.String({ description: 'Where anybody may fetch the content.' }),
    expiresAt: Timestamp,
  },
  { title: 'NewLink' },
);

const Link = t.Object(
  {
    id: t.String(),
    disposition: t.Union([t.Literal('inline'), t.Literal('attachment'), t.Null()], {
      description: 'Null: by the type of the content.',
    }),
    once: t.Boolean(),
    createdAt: Timestamp,
    expiresAt: Timestamp,
    usedAt: t.Union([Timestamp, t.Null()], { description: 'When a link for one use was used.' }),
  },
  { title: 'Link', description: 'A link as it is listed; its URL is shown once, when it is made.' },
);

/** Links by which strangers may fetch a file. */
export function linkRoutes(links: Links) {
  return new Elysia({ name: 'uploads links', prefix: '/api/files' })
    .use(guard)
    .post(
      '/:id/links',
      async ({ caller, params: { id }, body: { expiresIn, disposition = null, once = false }, set }) => {
        const { record, url } = await links.create(caller, id, { expiresIn, disposition, isOnce: once });
        set.status = 201;
        return { id: record.id, url, expiresAt: new Date(record.expiresAt).toISOString() };
      },
      {
        signedIn: true,
        params: FileId,
        body: LinkWish,
        response: { 201: NewLink, 404: Problem, 409: Problem, 422: Problem },
        detail: {
          tags,
          operationId: 'createFileLink',
          summary: 'Make a link to a file',
          description:
            'Whoever has the link may fetch the content, with no token, until it expires, is used up or revoked.',
        },
      },
    )
    .get(
      '/:id/links',
      async ({ caller, params: { id }, query: { limit = DEFAULT_LIMIT, cursor } }) => {
        const { items, next } = await links.list(caller, id, limit, cursor === undefined ? null : fromCursor(cursor));
        return { items: items.map(toLink), nextCursor: next === null ? null : toCursor(next) };
      },
      {
        signedIn: true,
        params: FileId,
        query: ListQuery,
        response: { 200: listOf(Link), 404: Problem, 422: Problem },
        detail: {
          tags,
          operationId: 'listFileLinks',
          summary: 'List the links to a file',
          description: 'Newest first.',
        },
      },
    )
    .delete(
      '/:id/links/:linkId',
      async ({ caller, params: { id, linkId }, set }) => {
        await links.revoke(caller, id, linkId);
        set.status = 204;
      },
      {
        signedIn: true,
        params: LinkIds,
        response: { 204: t.Void({ description: 'It gives nothing any more.' }), 404: Problem },
        detail: { tags, operationId: 'revokeFileLink', summary: 'Revoke a link' },
      },
    );
}

function toLink({ id, disposition, isOnce, createdAt, expiresAt, usedAt }: LinkRecord) {
  return {
    id,
    disposition,
    once: isOnce,
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    usedAt: usedAt === null ? null : new Date(usedAt).toISOString(),
  };
}
