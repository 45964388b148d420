import { Elysia, type TSchema, t } from 'elysia';
import { guard } from '../../web/guard.ts';
import { createJsonAnswers } from '../../web/ready-headers.ts';
import { jsonResponse, Problem } from '../../web/schemas.ts';
import { clearedSessionCookie } from './cookie.ts';
import * as schemas from './schemas.ts';
import type { AuthService } from './service.ts';
import type { Grant, Sessions } from './sessions.ts';
import type { SetUp } from './setup.ts';
import { answerTokenRequest } from './token-endpoint.ts';

export interface AuthRoutesOptions {
  readonly service: AuthService;
  readonly sessions: Sessions;
  readonly setUp: SetUp;
  /** The `Set-Cookie` value that signs a browser in. */
  readonly toCookie: (session: Grant['session']) => Promise<string>;
}

const tags = ['auth'];
const tokenAnswer = { 200: schemas.TokenAnswerSchema };

/** Signing in and out, tokens, and one's own account. */
export function authRoutes({ service, sessions, setUp, toCookie }: AuthRoutesOptions) {
  const answerJson = createJsonAnswers();
  return new Elysia({ name: 'auth', prefix: '/api/auth' })
    .use(guard)
    .post(
      '/register',
      async ({ body, set }) => {
        set.status = 201;
        return (await service.register(body)).tokens;
      },
      {
        anyone: true,
        signInLimit: true,
        body: schemas.RegisterBody,
        response: { 201: schemas.TokenAnswerSchema, 409: Problem },
        detail: { tags, operationId: 'register', summary: 'Create an account and sign in' },
      },
    )
    .post(
      '/login',
      async ({ body, set }) => {
        const { tokens, session } = await service.signIn(body.email, body.password);
        if (body.cookie) set.headers['set-cookie'] = await toCookie(session);
        return tokens;
      },
      {
        anyone: true,
        signInLimit: true,
        body: schemas.SignInBody,
        response: { ...tokenAnswer, 401: Problem },
        detail: { tags, operationId: 'signIn', summary: 'Sign in with e-mail address and password' },
      },
    )
    .post(
      '/token',
      async ({ body, set }) => {
        const answer = await answerTokenRequest(service, body);
        // RFC 6749 §5.1.
        set.headers['cache-control'] = 'no-store';
        set.headers['pragma'] = 'no-cache';
        set.status = answer.status;
        return answer.body;
      },
      {
        anyone: true,
        signInLimit: true,
        parse: 'urlencoded',
        body: t.Object({}, { additionalProperties: true }),
        detail: {
          tags,
          operationId: 'token',
          summary: 'OAuth 2.0 token endpoint',
          description: 'RFC 6749: grants `password` and `refresh_token`, for public clients. Errors as in its §5.2.',
          requestBody: {
            required: true,
            content: { 'application/x-www-form-urlencoded': { schema: schemas.TokenForm as TSchema } },
          },
          responses: {
            200: jsonResponse('Tokens.', schemas.TokenAnswerSchema),
            400: jsonResponse('RFC 6749 §5.2.', schemas.TokenError),
          },
        },
      },
    )
    .post('/refresh', async ({ body: { refresh_token } }) => (await service.refresh(refresh_token)).tokens, {
      anyone: true,
      body: schemas.RefreshBody,
      response: { ...tokenAnswer, 401: Problem },
      detail: {
        tags,
        operationId: 'refresh',
        summary: 'Trade a refresh token for new tokens',
        description:
          'The same refresh token within ten seconds gets the same successor, so a lost answer can be asked for again. ' +
          'Later use ends the whole login: somebody else holds the token.',
      },
    })
    .post(
      '/logout',
      async ({ body, caller, set }) => {
        const user = caller?.kind === 'user' ? caller : null;
        await service.signOut(user, body?.refresh_token, body?.everywhere ?? false);
        if (user?.via === 'cookie') set.headers['set-cookie'] = clearedSessionCookie();
        set.status = 204;
      },
      {
        anyone: true,
        body: schemas.SignOutBody,
        response: { 204: t.Void() },
        detail: {
          tags,
          operationId: 'signOut',
          summary: 'End this login, or all of them',
          description: 'Ends the login of the access token or of `refresh_token`; both tokens are worthless at once.',
        },
      },
    )
    .get('/me', ({ request, caller }) => answerJson(request, caller.account), {
      signedIn: true,
      detail: {
        tags,
        operationId: 'me',
        summary: 'Your account',
        responses: { 200: jsonResponse('Done.', schemas.AccountSchema) },
      },
    })
    .patch('/me', ({ body, caller }) => service.changeAccount(caller, body), {
      signedIn: true,
      body: schemas.ChangeAccountBody,
      response: { 200: schemas.AccountSchema, 409: Problem },
      detail: {
        tags,
        operationId: 'changeMe',
        summary: 'Change your account',
        description: 'A new e-mail address asks for `currentPassword`.',
      },
    })
    .delete(
      '/me',
      async ({ caller, set }) => {
        await service.deleteAccount(caller);
        if (caller.via === 'cookie') set.headers['set-cookie'] = clearedSessionCookie();
        set.status = 204;
      },
      {
        signedIn: true,
        response: { 204: t.Void(), 409: Problem },
        detail: { tags, operationId: 'deleteMe', summary: 'Delete your account and everything it owns' },
      },
    )
    .post(
      '/password',
      async ({ body, caller, set }) => {
        const { tokens, session } = await service.changePassword(caller, body.currentPassword, body.newPassword);
        if (caller.via === 'cookie') set.headers['set-cookie'] = await toCookie(session);
        return tokens;
      },
      {
        signedIn: true,
        signInLimit: true,
        body: schemas.ChangePasswordBody,
        response: tokenAnswer,
        detail: {
          tags,
          operationId: 'changePassword',
          summary: 'Change your password',
          description: 'Ends every login of yours and answers with the tokens of a new one.',
        },
      },
    )
    .post(
      '/setup',
      async ({ body, set }) => {
        const admin = await setUp.complete(body.token, body.email, body.password);
        set.status = 201;
        return (await sessions.begin(admin)).tokens;
      },
      {
        anyone: true,
        signInLimit: true,
        body: schemas.SetUpBody,
        response: { 201: schemas.TokenAnswerSchema, 403: Problem, 409: Problem },
        detail: { tags, operationId: 'setUp', summary: 'Create the first admin with the token of the set-up link' },
      },
    );
}
