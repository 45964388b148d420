import { defineProblems } from '../../kernel/errors.ts';

export const authProblems = defineProblems('auth', {
  'invalid-credentials': {
    status: 401,
    title: 'Invalid credentials',
    detail: 'The e-mail address or the password is wrong, or the account is disabled.',
  },
  'invalid-refresh-token': {
    status: 401,
    title: 'Invalid refresh token',
    detail: 'The refresh token is not valid any more. Sign in again.',
  },
  'email-taken': { status: 409, title: 'E-mail taken', detail: 'An account with this e-mail address exists already.' },
  'user-not-found': { status: 404, title: 'No such user', detail: 'There is no user with this id.' },
  'last-admin': {
    status: 409,
    title: 'Last admin',
    detail: 'This is the only enabled admin. Give another account the role first.',
  },
  'setup-closed': {
    status: 403,
    title: 'Set-up is closed',
    detail: 'The set-up link is wrong or used up, or an admin exists already.',
  },
});
