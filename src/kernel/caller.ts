/** Who is asking. */
export type Caller = UserCaller | ServerCaller;

/** A signed-in person. */
export interface UserCaller {
  readonly kind: 'user';
  readonly id: string;
  readonly role: Role;
  /** The account as it is at the time of this request. */
  readonly account: Account;
  /** The login this request belongs to; `everywhere` sign-outs and refresh families are named by it. */
  readonly sessionId: string;
  /** How the caller proved it: `cookie` requests are checked against cross-site forgery. */
  readonly via: 'bearer' | 'cookie';
}

/** Another server that holds `SERVER_KEY`: admin rights, no account of its own. */
export interface ServerCaller {
  readonly kind: 'server';
  readonly id: 'server';
  readonly role: 'admin';
}

/** What an account shows of itself. */
export interface Account {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly emailVerified: boolean;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

export type Role = 'user' | 'admin';
export const ROLES = ['user', 'admin'] as const satisfies readonly Role[];
