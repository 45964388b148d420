import type { Host } from './host.ts';
import { isRecord, tryRecord } from './json.ts';
import { socketProblems } from './problems.ts';
import { findApiFault, type PusherApp } from './pusher-app.ts';
import { readPusherChannel } from './pusher-channels.ts';
import { toJsonText } from './pusher-protocol.ts';

/**
 * The HTTP API that Pusher's server libraries speak (https://pusher.com/docs/channels/library_auth_reference/rest-api/).
 * Answers are in its own form: JSON on success, plain text on failure.
 */
export interface PusherApi {
  trigger(call: PusherCall): Promise<Response>;
  triggerBatch(call: PusherCall): Promise<Response>;
  channels(call: PusherCall): Promise<Response>;
  channel(call: PusherCall, name: string): Promise<Response>;
  users(call: PusherCall, name: string): Promise<Response>;
  terminate(call: PusherCall, userId: string): Promise<Response>;
}

export interface PusherCall {
  readonly appId: string;
  readonly request: Request;
  /** As it came: the signature covers every byte. */
  readonly body: string;
}

const MAX_CHANNELS = 100;
const MAX_BATCH = 10;
const MAX_NAME = 200;

class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface ChannelEvent {
  readonly name: string;
  readonly channels: readonly string[];
  readonly data: string;
  readonly socketId: string | undefined;
  readonly info: ReadonlySet<string>;
}

export function createPusherApi(host: Host, app: PusherApp | null): PusherApi {
  /** Nothing is looked at before the signature holds. */
  const signed = async (call: PusherCall, work: (url: URL) => Promise<object>): Promise<Response> => {
    try {
      if (!app || call.appId !== app.id) throw new Refusal(404, 'Unknown app');
      const fault = findApiFault(app, call.request, call.body, host.clock.now());
      if (fault) throw new Refusal(401, fault);
      return Response.json(await work(new URL(call.request.url)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return new Response(`${error.message}\n`, { status: error.status, headers: { 'content-type': 'text/plain' } });
    }
  };

  const describe = async (channel: string, count: number | null, info: ReadonlySet<string>) => {
    const found = readPusherChannel(channel);
    const isPresence = found?.kind === 'presence';
    if (info.has('user_count') && !isPresence) throw new Refusal(400, 'user_count is for presence channels');
    return {
      ...(info.has('user_count') && found ? { user_count: (await host.bus.presence.count(found.topic)).users } : {}),
      ...(info.has('subscription_count') ? { subscription_count: count ?? (await host.audience.count(channel)) } : {}),
    };
  };

  const publish = async ({ name, channels, data, socketId, info }: ChannelEvent): Promise<object> => {
    const answer: Record<string, object> = {};
    for (const channel of channels) {
      const topic = readPusherChannel(channel)?.topic ?? '';
      try {
        const draft = { name, data, ...(socketId === undefined ? {} : { except: socketId }) };
        await host.publisher.publishText(topic, draft);
      } catch (error) {
        if (socketProblems.is(error, 'message-too-large')) throw new Refusal(413, 'The data is too large');
        throw error;
      }
      if (info.size > 0) answer[channel] = await describe(channel, null, info);
    }
    return info.size > 0 ? { channels: answer } : {};
  };

  return {
    trigger: (call) => signed(call, async () => publish(readEvent(tryRecord(call.body)))),

    triggerBatch: (call) =>
      signed(call, async () => {
        const batch = tryRecord(call.body)?.['batch'];
        if (!Array.isArray(batch) || batch.length > MAX_BATCH)
          throw new Refusal(400, `batch holds up to ${MAX_BATCH} events`);
        // All are looked at before any is published.
        const events = batch.map((event) => readEvent(isRecord(event) ? event : null));
        const answers: object[] = [];
        for (const event of events) {
          const described = (await publish(event)) as { channels?: Record<string, object> };
          answers.push(described.channels?.[event.channels[0] as string] ?? {});
        }
        return events.some(({ info }) => info.size > 0) ? { batch: answers } : {};
      }),

    channels: (call) =>
      signed(call, async ({ searchParams }) => {
        const prefix = searchParams.get('filter_by_prefix') ?? '';
        const info = readInfo(searchParams.get('info'));
        const entries: [string, object][] = [];
        for (const [channel, count] of await host.audience.list()) {
          if (channel.startsWith(prefix)) entries.push([channel, await describe(channel, count, info)]);
        }
        return { channels: Object.fromEntries(entries) };
      }),

    channel: (call, name) =>
      signed(call, async ({ searchParams }) => {
        if (!readPusherChannel(name)) throw new Refusal(400, 'Invalid channel name');
        const count = await host.audience.count(name);
        return { occupied: count > 0, ...(await describe(name, count, readInfo(searchParams.get('info')))) };
      }),

    users: (call, name) =>
      signed(call, async () => {
        const channel = readPusherChannel(name);
        if (channel?.kind !== 'presence') throw new Refusal(400, 'Users are known on presence channels only');
        const members = await host.bus.presence.list(channel.topic);
        return { users: [...new Set(members.map(({ user }) => user))].map((id) => ({ id })) };
      }),

    terminate: (call, userId) =>
      signed(call, async () => {
        await host.bus.signal({ kind: 'disconnect', userId });
        return {};
      }),
  };
}

function readEvent(event: Readonly<Record<string, unknown>> | null): ChannelEvent {
  const { name, data, channel, channels = [channel], socket_id: socketId, info } = event ?? {};
  const isName =
    typeof name === 'string' && name !== '' && name.length <= MAX_NAME && !/^pusher(_internal)?:/.test(name);
  if (!isName) throw new Refusal(400, `name is a text of up to ${MAX_NAME} characters`);
  const areChannels = Array.isArray(channels) && channels.length > 0 && channels.length <= MAX_CHANNELS;
  if (!areChannels || !channels.every((each) => readPusherChannel(each) !== null)) {
    throw new Refusal(400, `channels are up to ${MAX_CHANNELS} valid channel names`);
  }
  if (data === undefined) throw new Refusal(400, 'data is missing');
  if (socketId !== undefined && (typeof socketId !== 'string' || !isSocketId(socketId))) {
    throw new Refusal(400, 'Invalid socket_id');
  }
  return { name, channels: channels as string[], data: toJsonText(data), socketId, info: readInfo(info) };
}

function readInfo(info: unknown): ReadonlySet<string> {
  return new Set(typeof info === 'string' && info !== '' ? info.split(',') : []);
}

export function isSocketId(text: string): boolean {
  return /^\d{1,20}\.\d{1,20}$/.test(text);
}
