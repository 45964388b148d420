/**
 * Signed tokens of one kind (RFC 7519). One signer has one key, one algorithm, one `typ` and one audience, so a token of
 * one kind is never taken for another (RFC 8725 §3.11, §3.12).
 */
export interface TokenSigner {
  sign(claims: TokenClaims): Promise<string>;
  /** The claims of a token whose signature, algorithm, `typ`, issuer, audience and expiry all hold; else `null`. */
  verify(token: string): Promise<TokenClaims | null>;
}

export interface TokenClaims {
  /** User id. */
  readonly sub: string;
  /** Session id. */
  readonly sid: string;
  /** Expiry, seconds since the epoch. */
  readonly exp: number;
  /** The user's token epoch when it was issued: raising it makes every older token worthless. */
  readonly epoch: number;
}
