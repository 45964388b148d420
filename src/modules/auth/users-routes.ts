import { Elysia, t } from 'elysia';
import { guard } from '../../web/guard.ts';
import { ListQuery, listOf, Problem } from '../../web/schemas.ts';
import type { Accounts } from './accounts.ts';
import { ManagedAccountSchema, RightsBody } from './schemas.ts';
import { toAccount, type UserRow } from './store.ts';

const tags = ['users'];
const params = t.Object({ id: t.String({ maxLength: 64 }) });

/** The accounts of everybody, for admins. */
export function usersRoutes({ accounts }: { readonly accounts: Accounts }) {
  return new Elysia({ name: 'users', prefix: '/api/users' })
    .use(guard)
    .get(
      '/',
      async ({ query: { limit = 50, cursor } }) => {
        const { items, nextCursor } = await accounts.list(limit, cursor ?? null);
        return { items: items.map(toManaged), nextCursor };
      },
      {
        admin: true,
        query: ListQuery,
        response: { 200: listOf(ManagedAccountSchema) },
        detail: { tags, operationId: 'listUsers', summary: 'List accounts, newest first' },
      },
    )
    .get('/:id', async ({ params: { id } }) => toManaged(await accounts.get(id)), {
      admin: true,
      params,
      response: { 200: ManagedAccountSchema },
      detail: { tags, operationId: 'getUser', summary: 'One account' },
    })
    .patch(
      '/:id',
      async ({ params: { id }, body: { role, disabled } }) =>
        toManaged(
          await accounts.setRights(id, {
            ...(role === undefined ? {} : { role }),
            ...(disabled === undefined ? {} : { disabled }),
          }),
        ),
      {
        admin: true,
        params,
        body: RightsBody,
        response: { 200: ManagedAccountSchema, 409: Problem },
        detail: {
          tags,
          operationId: 'changeUser',
          summary: 'Change the role of an account, disable or enable it',
          description: 'A change ends every login of that account at once.',
        },
      },
    )
    .delete(
      '/:id',
      async ({ params: { id }, set }) => {
        await accounts.remove(id);
        set.status = 204;
      },
      {
        admin: true,
        params,
        response: { 204: t.Void(), 409: Problem },
        detail: { tags, operationId: 'deleteUser', summary: 'Delete an account and everything it owns' },
      },
    );
}

function toManaged(user: UserRow) {
  return { ...toAccount(user), disabled: user.disabledAt !== null };
}
