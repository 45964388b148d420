import { createBackoff, createLine, type Line, type LineEnd, type RealtimeReply } from './line.ts';

/** A message of a topic. */
export interface Message<Data> {
  readonly data: Data;
  readonly name?: string;
  /** Number of the message within its topic's epoch. */
  readonly offset: number;
}

/** Who is on a topic. */
export interface Presence {
  readonly user: string;
  readonly client: string;
  readonly info?: unknown;
}

export interface TopicHandlers<Data> {
  /** Every message, once and in order. */
  readonly onMessage?: (message: Message<Data>) => void;
  /** Messages were missed and are not to be had any more: load the state anew. */
  readonly onGap?: () => void;
  readonly onJoin?: (member: Presence) => void;
  readonly onLeave?: (member: Presence) => void;
  /** The server refused or ended the subscription for good. */
  readonly onEnd?: (error: RealtimeError) => void;
}

/** What the server said no to: a code of Centrifugo's protocol, or of the connection's end. */
export class RealtimeError extends Error {
  override readonly name = 'RealtimeError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface RealtimeOptions {
  /** `wss://example.org/connection/websocket` */
  readonly url: string;
  /** Gives a valid access token; called for every connection and before the token ends. Null stays anonymous. */
  readonly getToken?: () => Promise<string | null> | string | null;
  /** Hears whether there is a connection. */
  readonly onState?: (state: RealtimeState, reason?: string) => void;
}

export type RealtimeState = 'connecting' | 'open' | 'closed';

/** @typeParam Topics what each topic's messages carry, by name. */
export interface Realtime<Topics extends Record<string, unknown> = Record<string, unknown>> {
  /** Listens, across reconnects, until the function that it returns is called. One subscription a topic. */
  subscribe<Topic extends keyof Topics & string>(topic: Topic, handlers: TopicHandlers<Topics[Topic]>): () => void;
  publish<Topic extends keyof Topics & string>(topic: Topic, data: Topics[Topic]): Promise<void>;
  presence(topic: keyof Topics & string): Promise<Presence[]>;
  rpc(method: string, data: unknown): Promise<unknown>;
  close(): void;
}

interface Listening {
  readonly handlers: TopicHandlers<never>;
  position: { epoch: string; offset: number } | null;
}

interface Info {
  readonly user: string;
  readonly client: string;
  readonly conn_info?: unknown;
}
type Publication = { readonly data: never; readonly offset: number; readonly tags?: { readonly event?: string } };
interface Push {
  readonly channel: string;
  readonly pub?: Publication;
  readonly join?: { readonly info: Info };
  readonly leave?: { readonly info: Info };
  readonly unsubscribe?: { readonly code: number; readonly reason: string };
}

/** Errors after which the same request may be tried again. */
const isTemporary = (error: { readonly code: number; readonly temporary?: boolean }) =>
  error.temporary === true || error.code < 100;
const TOKEN_EXPIRED = 109;
const RESUBSCRIBE_FROM = 2500;

/** A connection that comes back by itself and gives every topic all its messages, or says that some are gone. */
export function connectRealtime<Topics extends Record<string, unknown> = Record<string, unknown>>(
  options: RealtimeOptions,
): Realtime<Topics> {
  const { url, getToken = () => null, onState = () => undefined } = options;
  const topics = new Map<string, Listening>();
  const backoff = createBackoff();
  let line: Line | null = null;
  let isOpen = false;
  let isClosed = false;
  let renewal: ReturnType<typeof setTimeout> | undefined;
  const waiting: (() => void)[] = [];

  const deliver = (listening: Listening, { data, offset, tags }: Publication) => {
    if (listening.position) listening.position.offset = offset;
    const name = tags?.event === undefined ? {} : { name: tags.event };
    listening.handlers.onMessage?.({ data, offset, ...name });
  };

  const listen = async (topic: string, listening: Listening) => {
    const on = line;
    if (!on || !isOpen) return;
    const { onJoin, onLeave } = listening.handlers;
    const recovery = listening.position ? { recover: true, ...listening.position } : {};
    const reply = await on.ask({ subscribe: { channel: topic, join_leave: !!(onJoin || onLeave), ...recovery } });
    if (topics.get(topic) !== listening || line !== on) return;
    if (reply.error) {
      if (isTemporary(reply.error)) setTimeout(() => listen(topic, listening), backoff.next());
      else end(topic, reply.error.code, reply.error.message);
      return;
    }
    const { epoch, offset, was_recovering, recovered, publications } = reply['subscribe'] as {
      epoch: string;
      offset: number;
      was_recovering?: boolean;
      recovered?: boolean;
      publications?: Publication[];
    };
    const missed = publications ?? [];
    listening.position = { epoch, offset: offset - missed.length };
    for (const publication of missed) deliver(listening, publication);
    listening.position.offset = offset;
    if (was_recovering && !recovered) listening.handlers.onGap?.();
  };

  const end = (topic: string, code: number, message: string) => {
    const listening = topics.get(topic);
    topics.delete(topic);
    listening?.handlers.onEnd?.(new RealtimeError(code, message));
  };

  const onPush = ({ channel, pub, join, leave, unsubscribe }: Push) => {
    const listening = topics.get(channel);
    if (!listening) return;
    if (pub) deliver(listening, pub);
    if (join) listening.handlers.onJoin?.(toPresence(join.info));
    if (leave) listening.handlers.onLeave?.(toPresence(leave.info));
    if (!unsubscribe) return;
    if (unsubscribe.code >= RESUBSCRIBE_FROM) listen(channel, listening);
    else end(channel, unsubscribe.code, unsubscribe.reason);
  };

  /** Asks for a new token in time, and shows it. */
  const planRenewal = (reply: { readonly expires?: boolean; readonly ttl?: number }) => {
    clearTimeout(renewal);
    if (!reply.expires || reply.ttl === undefined) return;
    renewal = setTimeout(async () => {
      const token = await getToken();
      const answer = token === null ? null : await line?.ask({ refresh: { token } });
      if (answer && !answer.error) planRenewal(answer['refresh'] as { expires?: boolean; ttl?: number });
    }, reply.ttl * 900);
  };

  const open = async () => {
    if (isClosed) return;
    onState('connecting');
    const token = await Promise.resolve(getToken()).catch(() => undefined);
    if (isClosed) return;
    // Without a token where there should be one, the next attempt asks again.
    if (token === undefined) return retry();
    const opened = createLine(url, { onPush: (push) => onPush(push as Push), onEnd: (why) => onEnd(opened, why) });
    line = opened;
    const reply = await opened.ask({ connect: token === null ? {} : { token } });
    if (line !== opened) return;
    if (reply.error) {
      const isFinal = !isTemporary(reply.error) && reply.error.code !== TOKEN_EXPIRED;
      opened.close();
      line = null;
      return isFinal ? shut(reply.error.message) : retry();
    }
    const connected = reply['connect'] as { expires?: boolean; ttl?: number; ping?: number };
    opened.expectPings(connected.ping ?? 0);
    planRenewal(connected);
    backoff.reset();
    isOpen = true;
    onState('open');
    for (const [name, listening] of topics) listen(name, listening);
    for (const go of waiting.splice(0)) go();
  };

  const retry = () => void setTimeout(open, backoff.next());
  const shut = (reason?: string) => {
    isClosed = true;
    isOpen = false;
    clearTimeout(renewal);
    for (const go of waiting.splice(0)) go();
    onState('closed', reason);
  };
  const onEnd = (ended: Line, { isFinal, reason }: LineEnd) => {
    if (line !== ended) return;
    line = null;
    isOpen = false;
    clearTimeout(renewal);
    if (isFinal || isClosed) shut(reason);
    else retry();
  };

  /** Waits for a connection, asks, and throws what the server says is wrong. */
  const ask = async (command: object): Promise<RealtimeReply> => {
    if (!isOpen && !isClosed) await new Promise<void>((resolve) => waiting.push(resolve));
    if (!line || !isOpen) throw new RealtimeError(0, 'the connection is closed');
    const reply = await line.ask(command);
    if (reply.error) throw new RealtimeError(reply.error.code, reply.error.message);
    return reply;
  };

  open();
  return {
    subscribe(name, handlers) {
      if (topics.has(name)) throw new Error(`there is a subscription to ${name} already`);
      const listening: Listening = { handlers: handlers as TopicHandlers<never>, position: null };
      topics.set(name, listening);
      listen(name, listening);
      return () => {
        if (topics.get(name) !== listening) return;
        topics.delete(name);
        if (isOpen) line?.ask({ unsubscribe: { channel: name } });
      };
    },
    async publish(name, data) {
      await ask({ publish: { channel: name, data } });
    },
    async presence(name) {
      const reply = await ask({ presence: { channel: name } });
      return Object.values((reply['presence'] as { presence: Record<string, Info> }).presence).map(toPresence);
    },
    rpc: async (method, data) => ((await ask({ rpc: { method, data } }))['rpc'] as { data: unknown }).data,
    close() {
      const open = line;
      line = null;
      open?.close();
      if (!isClosed) shut();
    },
  };
}

function toPresence({ user, client, conn_info: info }: Info): Presence {
  return { user, client, ...(info === undefined ? {} : { info }) };
}
