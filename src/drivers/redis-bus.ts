import { randomToken } from '../kernel/ids.ts';
import {
  type BusListener,
  type Draft,
  HISTORY_BOUNDS,
  type HistoryBounds,
  type HistoryQuery,
  IDEMPOTENCY_MS,
  type Publication,
  type Signal,
} from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { RemoteBus } from './fallback-bus.ts';
import { toHistoryPage } from './history-page.ts';
import { redisAudience } from './redis-audience.ts';
import { createRedisLink, type RedisLink } from './redis-link.ts';
import { readPresenceChange, redisPresence } from './redis-presence.ts';
import { HISTORY, PUBLISH, RENEW } from './redis-scripts.ts';

export interface RedisBusOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly bounds?: HistoryBounds;
  readonly presenceTtlMs?: number;
  /** Hears why Redis cannot be reached. */
  readonly onFault: (error: unknown) => void;
  /** Hears when Redis is there and when it is gone. */
  readonly onChange?: (isUp: boolean) => void;
}

const SIGNALS = 'bunkhouse:signals';
const TOPIC_CHANNEL = 'bunkhouse:topic:';
/** How long a quiet topic keeps its epoch. */
const META_MS = 7 * 24 * 3_600_000;
const RENEW_AT_ONCE = 500;
const PRESENCE_TTL_MS = 60_000;
/** How often the leases of topics that are listened to here are looked at, and our own are renewed. */
const REAP_MS = 5_000;

/** The bus of several machines over Redis: every step that must be one is one script there. */
export function redisBus(options: RedisBusOptions): RemoteBus {
  const { url, clock, bounds = HISTORY_BOUNDS, presenceTtlMs = PRESENCE_TTL_MS, onFault } = options;
  const subscribed = new Set<string>();
  /** Topics on which somebody was seen. */
  const peopled = new Set<string>();
  let listener: BusListener | null = null;
  let strayed = new Set<string>();
  let onChange: (isUp: boolean) => void = () => undefined;

  const onMessage = (channel: string, message: string) => {
    if (channel === SIGNALS) {
      listener?.onSignal(JSON.parse(message) as Signal);
      return;
    }
    const topic = channel.slice(TOPIC_CHANNEL.length);
    if (!subscribed.has(topic)) return;
    if (message.startsWith('P')) {
      peopled.add(topic);
      listener?.onPresence(topic, readPresenceChange(message.slice(1)));
    } else if (message === 'E') {
      listener?.onDoubt(topic);
    } else {
      const { publication, epoch } = readDelivery(message);
      listener?.onPublication(topic, publication, epoch);
    }
  };

  const renewStrayed = async (run: RedisLink['run']) => {
    const batch = [...strayed].slice(0, RENEW_AT_ONCE);
    const renew = (topic: string) => run(RENEW, keysOf(topic), [newEpoch(), String(META_MS), channelOf(topic)]);
    await Promise.all(batch.map(renew));
    for (const topic of batch) strayed.delete(topic);
  };
  const link = createRedisLink({
    url,
    onMessage,
    onFault,
    prepare: (run) => (strayed.size > 0 ? renewStrayed(run) : null),
    onChange(isUp) {
      onChange(isUp);
      options.onChange?.(isUp);
      if (!isUp) return;
      // What was published meanwhile did not get here.
      listener?.onDoubt(null);
      audience.restore().catch(onFault);
    },
  });
  const audience = redisAudience({ link, clock });
  link.subscribe(SIGNALS);

  const channelOf = (topic: string) => TOPIC_CHANNEL + topic;
  const store = redisPresence({ link, clock, ttlMs: presenceTtlMs, channelOf });
  const reaper = setInterval(() => {
    if (link.isUp) audience.renew().catch(onFault);
    for (const topic of peopled) {
      if (subscribed.has(topic)) store.reap(topic).catch(() => undefined);
      else peopled.delete(topic);
    }
  }, REAP_MS);

  const read = async (topic: string, { limit, since, isReverse }: HistoryQuery) => {
    const oldest = String(clock.now() - bounds.maxAgeMs);
    const from = since && !isReverse ? [since.epoch, `${since.offset + 1}-0`] : ['', '-'];
    const args = [newEpoch(), String(META_MS), oldest, limit > 0 || since ? '1' : '0', ...from];
    const [epoch, offset, entries] = (await link.run(HISTORY, keysOf(topic), args)) as [string, number, string[]];
    return { epoch, offset, kept: readEntries(entries) };
  };

  return {
    presence: store,
    audience,
    opened: link.opened,
    get isUp() {
      return link.isUp;
    },
    heal(streams) {
      strayed = streams;
    },
    onChange(heard) {
      onChange = heard;
    },
    listen(heard) {
      listener = heard;
    },
    async publish(topic, draft, idempotencyKey) {
      const { except: _except, ...kept } = draft;
      const keyAge = idempotencyKey === undefined ? 0 : IDEMPOTENCY_MS;
      const keys = [...keysOf(topic), `bunkhouse:{${topic}}:key:${idempotencyKey ?? ''}`];
      const entry = JSON.stringify(kept);
      const bound = [bounds.maxCount, bounds.maxBytes, bounds.maxAgeMs, keyAge].map(String);
      const args = [
        newEpoch(),
        String(META_MS),
        String(clock.now()),
        entry,
        JSON.stringify(draft),
        channelOf(topic),
        ...bound,
      ];
      const [epoch, offset, isRepeat] = (await link.run(PUBLISH, keys, args)) as [string, number, number];
      return { epoch, offset, isRepeat: isRepeat === 1 };
    },
    async subscribe(topic) {
      subscribed.add(topic);
      await link.subscribe(channelOf(topic));
      const { epoch, offset } = await read(topic, { limit: 0 });
      return { epoch, offset };
    },
    unsubscribe(topic) {
      subscribed.delete(topic);
      link.unsubscribe(channelOf(topic));
    },
    async history(topic, query) {
      const { kept, ...position } = await read(topic, query);
      return toHistoryPage(position, kept, query);
    },
    async signal(signal) {
      await link.send('PUBLISH', [SIGNALS, JSON.stringify(signal)]);
    },
    async ping() {
      await link.send('PING', []);
    },
    async close() {
      clearInterval(reaper);
      store.close();
      if (link.isUp) await audience.leave().catch(onFault);
      link.close();
    },
  };
}

/** Both keys of a topic are in one slot of a cluster. */
function keysOf(topic: string): string[] {
  return [`bunkhouse:{${topic}}:meta`, `bunkhouse:{${topic}}:log`];
}

function newEpoch(): string {
  return randomToken(6);
}

/** `M<offset> <at> <epoch> <draft>` */
function readDelivery(message: string): { readonly publication: Publication; readonly epoch: string } {
  const [first, second] = [message.indexOf(' '), message.indexOf(' ', message.indexOf(' ') + 1)];
  const third = message.indexOf(' ', second + 1);
  const draft = JSON.parse(message.slice(third + 1)) as Draft;
  const publication = {
    ...draft,
    offset: Number(message.slice(1, first)),
    at: Number(message.slice(first + 1, second)),
  };
  return { publication, epoch: message.slice(second + 1, third) };
}

/** Id, time and draft of each, in turn. */
function readEntries(entries: readonly string[]): Publication[] {
  const publications: Publication[] = [];
  for (let index = 0; index < entries.length; index += 3) {
    const draft = JSON.parse(entries[index + 2] as string) as Draft;
    publications.push({
      ...draft,
      offset: Number.parseInt(entries[index] as string, 10),
      at: Number(entries[index + 1]),
    });
  }
  return publications;
}
