import { Elysia, t } from 'elysia';
import { contentDisposition } from '../../web/content-disposition.ts';
import { connectionOf } from '../../web/context.ts';
import { fromCursor, toCursor } from '../../web/cursor.ts';
import { guard } from '../../web/guard.ts';
import { binaryResponse, Id, ListQuery, listOf, oneOf, Problem } from '../../web/schemas.ts';
import { tellEnd } from '../../web/stream-end.ts';
import { BackupFileSchema, BackupSchema, toBackup, toBackupFile } from './backup-schema.ts';
import type { BackupService } from './service.ts';

const tags = ['backups'];
const BackupId = t.Object({ id: t.String({ description: 'Id of the backup.' }) });
const Note = t.Optional(t.String({ maxLength: 500, description: 'A label for people.' }));
const DEFAULT_LIMIT = 50;

/** Backups of the system, for admins, and of what belongs to the caller. */
export function backupRoutes(service: BackupService) {
  return new Elysia({ name: 'backups', prefix: '/api/backups' })
    .use(guard)
    .post(
      '/',
      async ({ caller, body: { scope, note = '' }, set }) => {
        set.status = 202;
        return toBackup(await service.create(caller, { scope, note }));
      },
      {
        identified: true,
        body: t.Object({ scope: oneOf(['user', 'system']), note: Note }),
        response: { 202: BackupSchema, 409: Problem },
        detail: {
          tags,
          operationId: 'createBackup',
          summary: 'Make a backup',
          description:
            '`user`: your account and files, to download or to restore from. `system`: all databases and files, for admins. ' +
            'Its progress is in the answer of `GET /api/backups/{id}` and told on the topic `user.<id>`.',
        },
      },
    )
    .post(
      '/import',
      async ({ caller, body: { fileId, note = '' }, set }) => {
        set.status = 202;
        return toBackup(await service.import(caller, { fileId, note }));
      },
      {
        signedIn: true,
        body: t.Object({ fileId: Id, note: Note }),
        response: { 202: BackupSchema, 409: Problem, 422: Problem },
        detail: {
          tags,
          operationId: 'importBackup',
          summary: 'Take in a downloaded backup',
          description:
            'Makes a backup of an archive that was downloaded here or from another server. Upload it as a file first, in parts if it ' +
            'is large; the file may be deleted when the status is `done`.',
        },
      },
    )
    .get(
      '/',
      async ({ caller, query: { limit = DEFAULT_LIMIT, cursor } }) => {
        const { items, next } = await service.list(caller, limit, cursor === undefined ? null : fromCursor(cursor));
        return { items: items.map(toBackup), nextCursor: next === null ? null : toCursor(next) };
      },
      {
        identified: true,
        query: ListQuery,
        response: { 200: listOf(BackupSchema), 422: Problem },
        detail: {
          tags,
          operationId: 'listBackups',
          summary: 'List backups',
          description: 'Yours, and for admins those of the system, newest first.',
        },
      },
    )
    .get('/:id', async ({ caller, params: { id } }) => toBackup(await service.get(caller, id)), {
      identified: true,
      params: BackupId,
      response: { 200: BackupSchema, 404: Problem },
      detail: { tags, operationId: 'getBackup', summary: 'Describe a backup and the work on it' },
    })
    .get(
      '/:id/files',
      async ({ caller, params: { id }, query: { limit = DEFAULT_LIMIT, cursor } }) => {
        const before = cursor === undefined ? null : fromCursor(cursor);
        const { items, next } = await service.files(caller, id, limit, before);
        return { items: items.map(toBackupFile), nextCursor: next === null ? null : toCursor(next) };
      },
      {
        identified: true,
        params: BackupId,
        query: ListQuery,
        response: { 200: listOf(BackupFileSchema), 404: Problem, 422: Problem },
        detail: { tags, operationId: 'listBackupFiles', summary: 'List the files in a backup of yours' },
      },
    )
    .get(
      '/:id/download',
      async ({ request, caller, params: { id } }) => {
        const { name, body } = await service.archive(caller, id);
        const connection = connectionOf(request);
        connection.keepOpen();
        return new Response(
          tellEnd(body, () => connection.cutWhenIdle()),
          {
            headers: {
              'content-type': 'application/x-tar',
              'content-disposition': contentDisposition('attachment', name),
            },
          },
        );
      },
      {
        identified: true,
        params: BackupId,
        detail: {
          tags,
          operationId: 'downloadBackup',
          summary: 'Download a backup',
          description:
            'A tar. Of a user: an index and the files. Of the system: a repository with this one backup, encrypted if backups are, from ' +
            'which `bunkhouse backup restore` works.',
          responses: { 200: binaryResponse('The archive.') },
        },
      },
    )
    .post(
      '/:id/verify',
      async ({ caller, params: { id }, body, set }) => {
        set.status = 202;
        return toBackup(await service.verify(caller, id, body?.level ?? 'full'));
      },
      {
        identified: true,
        params: BackupId,
        body: t.Optional(t.Object({ level: t.Optional(oneOf(['quick', 'full', 'test-restore'])) })),
        response: { 202: BackupSchema, 404: Problem, 409: Problem },
        detail: {
          tags,
          operationId: 'verifyBackup',
          summary: 'Verify a backup',
          description:
            '`quick`: everything is there. `full`, when not said: everything is read, decoded and checked. `test-restore`: a server is ' +
            'started on it and asked for files. Damage makes the status `failed`.',
        },
      },
    )
    .post(
      '/:id/restore',
      async ({ caller, params: { id }, body, set }) => {
        set.status = 202;
        return toBackup(await service.restore(caller, id, body?.files));
      },
      {
        identified: true,
        params: BackupId,
        body: t.Optional(
          t.Object({
            files: t.Optional(
              t.Array(Id, {
                minItems: 1,
                maxItems: 1000,
                description: 'Ids of files in a backup of yours; all when left out.',
              }),
            ),
          }),
        ),
        response: { 202: BackupSchema, 404: Problem, 409: Problem, 422: Problem },
        detail: {
          tags,
          operationId: 'restoreBackup',
          summary: 'Restore from a backup',
          description:
            'Of yours: files that are gone or changed come back; what a changed one has by now stays beside it as a copy. Of the system: ' +
            'everything is made ready and checked, and put in place by the next start of the server (`restartRequired`).',
        },
      },
    )
    .delete(
      '/:id',
      async ({ caller, params: { id }, set }) => {
        await service.remove(caller, id);
        set.status = 204;
      },
      {
        identified: true,
        params: BackupId,
        response: { 204: t.Void({ description: 'It is gone.' }), 404: Problem, 409: Problem },
        detail: { tags, operationId: 'deleteBackup', summary: 'Delete a backup' },
      },
    );
}
