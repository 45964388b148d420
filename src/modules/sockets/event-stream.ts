import type { Caller } from '../../kernel/caller.ts';
import { uuidv7 } from '../../kernel/ids.ts';
import { accessProblems } from '../../kernel/problems.ts';
import type { Position } from '../../ports/bus.ts';
import type { Socket } from '../../ports/sockets.ts';
import { memberOf } from './centrifugo-connection.ts';
import { DISCONNECTS, eventEncoder, toEvent, UNSUBSCRIBES } from './centrifugo-protocol.ts';
import { CentrifugoSubscription, readPosition, subscribeResult } from './centrifugo-subscription.ts';
import { Connection } from './connection.ts';
import type { Host } from './host.ts';
import { isRecord, tryRecord } from './json.ts';
import { socketProblems } from './problems.ts';
import { isTopic, userTopic } from './topics.ts';

/** A client that only listens, over server-sent events: Centrifugo's unidirectional protocol, for a plain `EventSource`. */
class EventStreamConnection extends Connection {
  override readonly wire = 'sse';
  override readonly verdicts = DISCONNECTS;
  override readonly id: string;
  /** What came before the first event was sent; null afterwards. */
  #early: string[] | null = [];

  constructor(host: Host) {
    super(host);
    this.id = uuidv7(host.clock.now());
  }

  override send(frame: string): void {
    if (this.#early) this.#early.push(frame);
    else super.send(frame);
  }

  /** Sends the first event, and after it what had to wait for it. */
  begin(connect: string): void {
    const early = this.#early ?? [];
    this.#early = null;
    this.isIntroduced = true;
    for (const frame of [connect, ...early]) this.send(frame);
  }

  protected override handle(): void {
    // Nothing comes in.
  }

  /** The client cannot answer; a dead one shows by its backlog and by the connection's end. */
  protected override ping(): void {
    this.noteLife();
    this.send(toEvent('{}'));
  }

  protected override onSubscriptionExpired(channel: string): void {
    this.loseTopic(channel);
  }

  override loseTopic(topic: string): void {
    this.drop(topic, toEvent(JSON.stringify({ channel: topic, unsubscribe: UNSUBSCRIBES.server })));
  }
}

/** The client cannot subscribe again, so a gap ends the stream: it comes back with what it knows. */
class EventSubscription extends CentrifugoSubscription {
  override get socket(): null {
    return null;
  }
}

/** A request for a stream: `cf_connect`, or what the page is signed in as. */
export interface EventStreamRequest {
  readonly caller: Caller | null;
  /** The `cf_connect` parameter: a `ConnectRequest` as JSON. */
  readonly connect: string | undefined;
  readonly signal: AbortSignal;
  /** Called once a stream that was opened has ended. */
  readonly onEnd: () => void;
}

/**
 * Opens a stream. Throws `auth/invalid-token`, `sockets/topic-forbidden`, `sockets/invalid-topic`: a client that is refused
 * with a status does not try again by itself.
 */
export async function openEventStream(
  host: Host,
  { caller, connect, signal, onEnd }: EventStreamRequest,
): Promise<Response> {
  const { token, subs } = readConnect(connect);
  const connection = new EventStreamConnection(host);
  const found = token === undefined ? null : await host.authenticate(token);
  if (found === 'expired' || found === 'invalid') throw accessProblems.create('invalid-token');
  const owner = found?.caller ?? caller;
  const topics = await admit(host, owner, subs);

  const body = openBody(host, connection, signal, onEnd);
  if (owner && !connection.adopt(owner, found?.expiresAt ?? Number.POSITIVE_INFINITY))
    connection.end(DISCONNECTS.tooMany);
  const results = await attachAll(host, connection, topics).catch((error: unknown) => {
    connection.end(DISCONNECTS.internal);
    throw error;
  });
  const name = { client: connection.id, version: host.version, ping: host.limits.pingMs / 1000 };
  connection.begin(toEvent(`{"connect":${JSON.stringify(name).slice(0, -1)},"subs":{${results.join(',')}}}}`));
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}

type Wanted = ReadonlyMap<string, Position | null>;

function readConnect(connect: string | undefined): { readonly token: string | undefined; readonly subs: Wanted } {
  const subs = new Map<string, Position | null>();
  if (connect === undefined) return { token: undefined, subs };
  const value = tryRecord(connect);
  if (!value) throw socketProblems.create('invalid-connect');
  const { token, subs: wanted = {} } = value;
  if (!isRecord(wanted) || (token !== undefined && typeof token !== 'string')) {
    throw socketProblems.create('invalid-connect');
  }
  for (const [topic, params] of Object.entries(wanted)) {
    const since = isRecord(params) ? readPosition(params) : null;
    if (since === undefined) throw socketProblems.create('invalid-connect');
    subs.set(topic, since);
  }
  return { token: token === '' ? undefined : token, subs };
}

/** What the stream will carry: what was asked for, as far as it may be, and the user's own topic. */
async function admit(host: Host, caller: Caller | null, wanted: Wanted): Promise<Wanted> {
  if (wanted.size > host.limits.maxTopicsPerConnection) throw socketProblems.create('too-many-topics');
  const topics = new Map<string, Position | null>();
  for (const [topic, since] of wanted) {
    if (!isTopic(topic)) throw socketProblems.create('invalid-topic');
    if (!(await host.access.allows(caller, 'subscribe', topic))) throw socketProblems.create('topic-forbidden');
    topics.set(topic, since);
  }
  if (caller?.kind === 'user' && !topics.has(userTopic(caller.id))) topics.set(userTopic(caller.id), null);
  return topics;
}

async function attachAll(host: Host, connection: EventStreamConnection, topics: Wanted): Promise<string[]> {
  const results: string[] = [];
  for (const [topic, since] of topics) {
    // The client may have gone while the topic before was looked up.
    if (connection.isEnded) break;
    const subscription = new EventSubscription({ connection, topic, encoder: eventEncoder, isServerSide: true });
    connection.subscriptions.set(topic, subscription);
    await host.hub.attach(subscription, since, (attached) => {
      const result = subscribeResult(attached, since !== null, subscription.expiresAt, host.clock.now());
      results.push(`${JSON.stringify(topic)}:${result}`);
    });
    if (host.access.hasPresence(topic) && !connection.isEnded) await host.presence.join(topic, memberOf(connection));
  }
  return results;
}

/** The stream as the connection sees it: something to send to. */
function openBody(
  host: Host,
  connection: EventStreamConnection,
  signal: AbortSignal,
  onEnded: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const highWaterMark = host.limits.maxBacklogBytes;
  let isOpen = true;
  const onEnd = (code: number) => {
    if (!isOpen) return;
    isOpen = false;
    onEnded();
    connection.close(code);
  };
  signal.addEventListener('abort', () => onEnd(1001));
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const write = (frame: string) => controller.enqueue(encoder.encode(frame));
        const socket: Socket = {
          send: (frame) => void (isOpen && write(frame)),
          getBufferedAmount: () => (isOpen ? highWaterMark - (controller.desiredSize ?? highWaterMark) : 0),
          close(code, reason) {
            if (!isOpen) return;
            write(toEvent(JSON.stringify({ disconnect: { code, reason } })));
            controller.close();
            onEnd(code);
          },
          terminate: () => socket.close(DISCONNECTS.shutdown.code, DISCONNECTS.shutdown.reason),
          subscribe: () => undefined,
          unsubscribe: () => undefined,
          publish: () => undefined,
        };
        connection.open(socket);
      },
      cancel: () => onEnd(1001),
    },
    new ByteLengthQueuingStrategy({ highWaterMark }),
  );
}
