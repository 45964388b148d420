import { createHmac, timingSafeEqual } from 'node:crypto';
import { toBase64Url } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';

/** The right to subscribe to one topic, apart from the rules. */
export interface TopicGrant {
  readonly topic: string;
  /** The only user who may use it; null for whoever holds it. */
  readonly userId: string | null;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface TopicTokens {
  sign(grant: TopicGrant): string;
  verify(token: string): TopicGrant | 'expired' | 'invalid';
}

const HEADER = toBase64Url(new TextEncoder().encode('{"alg":"HS256","typ":"topic+jwt"}'));

/**
 * Subscription tokens: JWTs (RFC 7519) with the claims of Centrifugo's, `channel`, `sub` and `exp`. The header is ours and is
 * compared as a whole, so no other algorithm or kind of token is ever looked at (RFC 8725 §3.1, §3.11).
 */
export function createTopicTokens(key: Uint8Array, clock: Clock): TopicTokens {
  const signatureOf = (content: string) => createHmac('sha256', key).update(content).digest();
  return {
    sign({ topic, userId, expiresAt }) {
      const claims = { channel: topic, ...(userId === null ? {} : { sub: userId }), exp: Math.floor(expiresAt / 1000) };
      const content = `${HEADER}.${toBase64Url(new TextEncoder().encode(JSON.stringify(claims)))}`;
      return `${content}.${signatureOf(content).toString('base64url')}`;
    },
    verify(token) {
      const [header, payload, signature, ...rest] = token.split('.');
      if (header !== HEADER || !payload || !signature || rest.length > 0) return 'invalid';
      const expected = signatureOf(`${header}.${payload}`);
      const given = Buffer.from(signature, 'base64url');
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return 'invalid';
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
        channel: string;
        sub?: string;
        exp: number;
      };
      const expiresAt = claims.exp * 1000;
      if (expiresAt <= clock.now()) return 'expired';
      return { topic: claims.channel, userId: claims.sub ?? null, expiresAt };
    },
  };
}
