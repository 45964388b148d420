import type { AppError } from '../../kernel/errors.ts';
import { authProblems } from './problems.ts';
import type { AuthService } from './service.ts';
import type { TokenAnswer } from './sessions.ts';

/** An error of the token endpoint, in the format of RFC 6749 §5.2. */
export interface TokenEndpointError {
  readonly error: 'invalid_request' | 'invalid_grant' | 'unsupported_grant_type';
  readonly error_description: string;
}

export type TokenEndpointAnswer =
  | { readonly status: 200; readonly body: TokenAnswer }
  | { readonly status: 400; readonly body: TokenEndpointError };

/** The parameters of a token request; a parameter that was sent twice arrives as an array. */
export type TokenRequest = Readonly<Record<string, unknown>>;

/** The token endpoint of RFC 6749: grants `password` (§4.3) and `refresh_token` (§6), for public clients. */
export async function answerTokenRequest(service: AuthService, request: TokenRequest): Promise<TokenEndpointAnswer> {
  // §3.2: parameters without a value are as if omitted, and none may be sent twice.
  const repeated = Object.entries(request).find(([, value]) => Array.isArray(value));
  if (repeated) return refuse('invalid_request', 'A parameter was sent more than once.');
  const parameter = (name: string) => {
    const value = request[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };

  try {
    switch (parameter('grant_type')) {
      case null:
        return refuse('invalid_request', 'The parameter grant_type is missing.');
      case 'password': {
        const [username, password] = [parameter('username'), parameter('password')];
        if (!username || !password)
          return refuse('invalid_request', 'The parameters username and password are needed.');
        return { status: 200, body: (await service.signIn(username, password)).tokens };
      }
      case 'refresh_token': {
        const token = parameter('refresh_token');
        if (!token) return refuse('invalid_request', 'The parameter refresh_token is missing.');
        return { status: 200, body: (await service.refresh(token)).tokens };
      }
      default:
        return refuse('unsupported_grant_type', 'Only password and refresh_token are offered.');
    }
  } catch (error) {
    const isWrongGrant =
      authProblems.is(error, 'invalid-credentials') || authProblems.is(error, 'invalid-refresh-token');
    if (isWrongGrant) return refuse('invalid_grant', (error as AppError).detail);
    throw error;
  }
}

function refuse(error: TokenEndpointError['error'], description: string): TokenEndpointAnswer {
  return { status: 400, body: { error, error_description: description } };
}
