import type { UserCaller } from '../../kernel/caller.ts';
import { requestProblems } from '../../kernel/problems.ts';
import type { Host } from './host.ts';
import { socketProblems } from './problems.ts';
import { isSocketId } from './pusher-api.ts';
import { channelContent, type PusherApp, signFor, userContent } from './pusher-app.ts';
import { readPusherChannel } from './pusher-channels.ts';

/** What an authorization endpoint answers. */
export interface PusherGrant {
  readonly auth: string;
  /** Who the caller is on a presence channel. */
  readonly channel_data?: string;
  /** Who the caller is, for signing in. */
  readonly user_data?: string;
}

export interface PusherGrantRequest {
  readonly caller: UserCaller;
  readonly socketId: unknown;
  /** Without one the caller asks to sign in. */
  readonly channel: unknown;
}

/**
 * Lets a signed-in caller join a private or presence channel, by the rules of its topic. The signature is good for that one
 * socket alone. Throws `request/invalid`, `sockets/topic-forbidden`, `sockets/pusher-off`.
 */
export async function grantPusher(
  host: Host,
  app: PusherApp | null,
  { caller, socketId, channel: name }: PusherGrantRequest,
): Promise<PusherGrant> {
  if (!app) throw socketProblems.create('pusher-off');
  if (typeof socketId !== 'string' || !isSocketId(socketId))
    throw invalid('/socket_id', 'is the id of a Pusher socket');
  const grant = await signGrant(host, app, caller, socketId, name);
  await vouchFor(host, socketId, caller);
  return grant;
}

async function signGrant(
  host: Host,
  app: PusherApp,
  caller: UserCaller,
  socketId: string,
  name: unknown,
): Promise<PusherGrant> {
  const { id, account } = caller;
  if (name === undefined) {
    const user_data = JSON.stringify({ id, user_info: { name: account.name } });
    return { auth: signFor(app, userContent(socketId, user_data)), user_data };
  }
  const channel = readPusherChannel(name);
  if (!channel || typeof name !== 'string') throw invalid('/channel_name', 'is the name of a channel');
  const isPrivate = channel.kind === 'private' || channel.kind === 'presence';
  if (!isPrivate || !(await host.access.allows(caller, 'subscribe', channel.topic))) {
    throw socketProblems.create('topic-forbidden');
  }
  if (channel.kind === 'private') return { auth: signFor(app, channelContent(socketId, name)) };
  const channel_data = JSON.stringify({ user_id: id, user_info: { name: account.name } });
  return { auth: signFor(app, channelContent(socketId, name, channel_data)), channel_data };
}

/** The signature says nothing of the login that it rests on, so the process that has the socket is told before it is given out. */
async function vouchFor({ registry, bus }: Host, connectionId: string, { id, sessionId }: UserCaller): Promise<void> {
  const here = registry.find(connectionId);
  if (here) here.vouch(id, sessionId);
  else await bus.signal({ kind: 'vouch', connectionId, userId: id, sessionId });
}

function invalid(pointer: string, detail: string) {
  return requestProblems.create('invalid', { faults: [{ pointer, detail }] });
}
