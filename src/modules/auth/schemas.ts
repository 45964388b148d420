import { Type } from '@sinclair/typebox';
import { t } from 'elysia';
import { ROLES } from '../../kernel/caller.ts';
import { oneOf, Timestamp } from '../../web/schemas.ts';

const RoleSchema = oneOf([...ROLES]);

const Email = t.String({
  maxLength: 254,
  pattern: '^\\s*[^\\s@]{1,64}@[^\\s@.]+(\\.[^\\s@.]+)*\\s*$',
  error: 'must be an e-mail address',
  examples: ['ada@example.org'],
});
const NewPassword = t.String({ minLength: 8, maxLength: 128, error: 'must have 8 to 128 characters' });
/** What is only compared: any length that a password can have, so that a wrong one is wrong and not malformed. */
const Password = t.String({ maxLength: 1024 });
const Name = t.String({ maxLength: 200 });

const accountFields = {
  id: t.String(),
  email: t.String(),
  name: t.String(),
  role: RoleSchema,
  emailVerified: t.Boolean(),
  createdAt: Timestamp,
};

export const AccountSchema = t.Object(accountFields, { title: 'User' });
export const ManagedAccountSchema = t.Object({ ...accountFields, disabled: t.Boolean() }, { title: 'ManagedUser' });

export const TokenAnswerSchema = t.Object(
  {
    access_token: t.String(),
    token_type: t.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'Seconds until the access token ends.' }),
    refresh_token: t.String(),
    user: AccountSchema,
  },
  { title: 'TokenAnswer', description: 'RFC 6749 §5.1, with the user beside it.' },
);

export const RegisterBody = t.Object({ email: Email, password: NewPassword, name: t.Optional(Name) });
export const SignInBody = t.Object({
  email: t.String({ maxLength: 1024 }),
  password: Password,
  cookie: t.Optional(t.Boolean({ description: 'Also sets an HttpOnly cookie, for browsers.' })),
});
export const SetUpBody = t.Object({ token: t.String({ maxLength: 100 }), email: Email, password: NewPassword });
export const RefreshBody = t.Object({ refresh_token: t.String({ maxLength: 512 }) });
export const SignOutBody = t.Optional(
  t.Object({
    refresh_token: t.Optional(t.String({ maxLength: 512 })),
    everywhere: t.Optional(t.Boolean({ description: 'Ends every login of the user.' })),
  }),
);
export const ChangeAccountBody = t.Object({
  name: t.Optional(Name),
  email: t.Optional(Email),
  currentPassword: t.Optional(Password),
});
export const ChangePasswordBody = t.Object({ currentPassword: Password, newPassword: NewPassword });
export const RightsBody = t.Object({ role: t.Optional(RoleSchema), disabled: t.Optional(t.Boolean()) });

/** Form of the token endpoint: every field optional, since the endpoint reports what is missing in its own format. */
export const TokenForm = t.Object({
  grant_type: t.Optional(t.String({ examples: ['password'] })),
  username: t.Optional(t.String()),
  password: t.Optional(t.String()),
  refresh_token: t.Optional(t.String()),
  scope: t.Optional(t.String()),
  client_id: t.Optional(t.String()),
  client_secret: t.Optional(t.String()),
});
/** RFC 6749 §5.2. */
export const TokenError = t.Object(
  {
    error: t.String({ examples: ['invalid_grant'] }),
    error_description: t.String(),
  },
  { title: 'TokenError', description: 'RFC 6749 §5.2.' },
);
