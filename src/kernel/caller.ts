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

/**
 * Another program, without an account of its own: one that holds `SERVER_KEY` has admin rights, one that holds the key which is handed
 * to PHP scripts may publish messages.
 */
export interface ServerCaller {
  readonly kind: 'server';
  readonly id: 'server' | 'php';
  readonly role: 'admin' | 'publisher';
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
