import { Elysia, t } from 'elysia';
import type { TokenClaims, TokenSigner } from '../ports/token-signer.ts';

export interface JwtSignerOptions {
  /** At least 32 bytes (RFC 7518 §3.2). */
  readonly key: Uint8Array;
  /** The token's kind in its header, `at+jwt` for access tokens (RFC 9068 §2.1). */
  readonly type: string;
  readonly issuer: string;
  readonly audience: string;
}

/**
 * HS256 tokens by @elysiajs/jwt. The plugin alone believes any HMAC algorithm, any issuer and tokens that never expire, so what
 * is asked of a token is said at every verification.
 */
export function jwtSigner(options: JwtSignerOptions): TokenSigner {
  const { type, issuer, audience } = options;
  let opened: ReturnType<typeof openSigner> | null = null;
  const open = () => {
    opened ??= openSigner(options).catch((error: unknown) => {
      opened = null;
      throw error;
    });
    return opened;
  };
  const demands = {
    algorithms: ['HS256'],
    typ: type,
    issuer,
    audience,
    requiredClaims: ['exp', 'sub', 'sid', 'epoch'],
  };
  return {
    sign: async ({ sub, sid, epoch, exp }) => (await open()).sign({ sub, sid, epoch, exp }),
    async verify(token): Promise<TokenClaims | null> {
      const claims = await (await open()).verify(token, demands);
      if (!claims) return null;
      const { sub, sid, epoch, exp } = claims;
      return { sub, sid, epoch, exp };
    },
  };
}

/** The plugin and what it stands on are loaded with the first token, not with the server. */
async function openSigner({ key, type, issuer, audience }: JwtSignerOptions) {
  const { jwt } = await import('@elysiajs/jwt');
  const plugin = new Elysia().use(
    jwt({
      name: 'signer',
      secret: key,
      alg: 'HS256',
      typ: type,
      iss: issuer,
      aud: audience,
      schema: t.Object({ sub: t.String(), sid: t.String(), epoch: t.Integer(), exp: t.Integer() }),
    }),
  );
  return plugin.decorator.signer;
}
