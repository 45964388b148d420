import type { Bus, Position, PresenceChange, Publication } from '../../ports/bus.ts';
import type { Socket, SocketGroups } from '../../ports/sockets.ts';
import { type Encoder, groupOf, Outlet, type OutletHost, type Subscription } from './outlet.ts';

export interface HubOptions {
  readonly bus: Bus;
  readonly groups: SocketGroups;
  readonly findSocket: (connectionId: string) => Socket | null;
  /** Live messages that may wait for one replay. */
  readonly maxHeld: number;
  readonly onFanOut: OutletHost['onFanOut'];
  readonly onRecovery: (isRecovered: boolean) => void;
  /** Hears how many connections there now are on a channel of a wire. */
  readonly onMembers: (encoder: Encoder, channel: string, connections: number) => void;
  readonly onFault: (error: unknown, topic: string) => void;
}

/** What a subscriber begins with. */
export interface Attached extends Position {
  /** Everything since the position that was asked for is in `publications`. Never partly. */
  readonly isRecovered: boolean;
  readonly publications: readonly Publication[];
}

export interface TopicState extends Position {
  readonly topic: string;
  readonly subscribers: number;
}

/** The topics of this process: who listens, and how far each has been delivered. */
export interface Hub {
  /**
   * Adds a subscription. `begin` is called once, at a point between two messages: what it gets is the past, and the next
   * message after it is the first live one. Resolves to false when it was detached before that.
   * @param since replays what came after, all of it or nothing.
   */
  attach(subscription: Subscription, since: Position | null, begin: (attached: Attached) => void): Promise<boolean>;
  /** Idempotent. */
  detach(subscription: Subscription): void;
  onPublication(topic: string, publication: Publication, epoch: string): void;
  onPresence(topic: string, change: PresenceChange): void;
  onDoubt(topic: string | null): void;
  readonly size: number;
  list(): TopicState[];
}

interface Held {
  readonly publications: Publication[];
  isBroken: boolean;
}

interface LocalTopic {
  readonly name: string;
  /** Resolves when deliveries have begun and `live` is known; null once they have. */
  ready: Promise<void> | null;
  /** How far every member has been told. */
  live: Position;
  outlets: Outlet[];
  /** Those that wait for their replay: live messages are held for them. */
  gate: Map<Subscription, Held> | null;
  catching: Promise<void> | null;
  isStale: boolean;
}

const NOWHERE: Position = { epoch: '', offset: 0 };
/** Streams are bounded by the bus, so a replay takes all there is. */
const ALL = Number.MAX_SAFE_INTEGER;

export function createHub(options: HubOptions): Hub {
  const { bus, groups, findSocket, maxHeld, onFanOut, onFault } = options;
  const outletHost: OutletHost = { groups, findSocket, onFanOut };
  const topics = new Map<string, LocalTopic>();

  const open = (name: string): LocalTopic => {
    const known = topics.get(name);
    if (known) return known;
    const topic: LocalTopic = {
      name,
      ready: null,
      live: NOWHERE,
      outlets: [],
      gate: null,
      catching: null,
      isStale: false,
    };
    topics.set(name, topic);
    topic.ready = bus.subscribe(name).then((position) => {
      // Messages may have come in before their beginning was known.
      if (topic.live === NOWHERE) topic.live = position;
      topic.ready = null;
    });
    return topic;
  };

  const closeIfUnused = (topic: LocalTopic) => {
    if (topic.outlets.length > 0 || (topic.gate?.size ?? 0) > 0 || topics.get(topic.name) !== topic) return;
    topics.delete(topic.name);
    bus.unsubscribe(topic.name);
  };

  const outletFor = (topic: LocalTopic, { encoder, channel }: Subscription): Outlet => {
    const group = groupOf(encoder, channel);
    const known = topic.outlets.find((outlet) => outlet.group === group);
    if (known) return known;
    const outlet = new Outlet(outletHost, encoder, channel);
    topic.outlets.push(outlet);
    return outlet;
  };

  const deliver = (topic: LocalTopic, publication: Publication) => {
    topic.live = { epoch: topic.live.epoch, offset: publication.offset };
    if (topic.gate) {
      for (const held of topic.gate.values()) {
        if (held.publications.length < maxHeld) held.publications.push(publication);
        else held.isBroken = true;
      }
    }
    for (const outlet of topic.outlets) outlet.publish(publication);
  };

  /** The chain is broken for all who listen: they are told, and begin again from here. */
  const lose = (topic: LocalTopic, position: Position) => {
    topic.live = position;
    for (const held of topic.gate?.values() ?? []) held.isBroken = true;
    for (const outlet of [...topic.outlets]) {
      for (const member of [...outlet.members]) {
        if (member.onLost() === 'ended') detach(member);
      }
    }
  };

  /** Closes a gap from history, for all members at once; when history does not reach that far, the chain is broken. */
  const catchUp = (topic: LocalTopic): Promise<void> => {
    topic.isStale = true;
    topic.catching ??= (async () => {
      try {
        while (topic.isStale && topics.get(topic.name) === topic) {
          topic.isStale = false;
          const page = await bus.history(topic.name, { since: topic.live, limit: ALL });
          const { epoch, offset } = page;
          if (epoch === topic.live.epoch && offset <= topic.live.offset) continue;
          if (page.isUnbroken) {
            for (const publication of page.publications) {
              if (publication.offset === topic.live.offset + 1) deliver(topic, publication);
            }
          } else lose(topic, { epoch, offset });
        }
      } catch (error) {
        onFault(error, topic.name);
      } finally {
        topic.catching = null;
      }
    })();
    return topic.catching;
  };

  const detach = (subscription: Subscription) => {
    const topic = topics.get(subscription.topic);
    if (!topic) return;
    topic.gate?.delete(subscription);
    if (topic.gate?.size === 0) topic.gate = null;
    for (const outlet of topic.outlets) {
      if (!outlet.remove(subscription)) continue;
      options.onMembers(outlet.encoder, outlet.channel, outlet.members.size);
      if (outlet.members.size === 0) topic.outlets = topic.outlets.filter((other) => other !== outlet);
    }
    closeIfUnused(topic);
  };

  /** The replay, or null when it cannot be whole. */
  const replay = async (topic: LocalTopic, since: Position, held: Held): Promise<readonly Publication[] | null> => {
    const page = await bus.history(topic.name, { since, limit: ALL });
    if (!page.isUnbroken) return null;
    // Another process was faster with these than the deliveries to this one.
    if (page.epoch === topic.live.epoch && page.offset > topic.live.offset) await catchUp(topic);
    if (held.isBroken || page.epoch !== topic.live.epoch) return null;
    const { offset } = topic.live;
    const publications = [
      ...page.publications.filter((publication) => publication.offset <= offset),
      ...held.publications.filter((publication) => publication.offset > page.offset),
    ];
    return (publications.at(-1)?.offset ?? since.offset) === offset ? publications : null;
  };

  return {
    detach,
    async attach(subscription, since, begin) {
      const topic = open(subscription.topic);
      const held: Held = { publications: [], isBroken: false };
      topic.gate ??= new Map();
      topic.gate.set(subscription, held);
      try {
        await topic.ready;
        const publications = since ? await replay(topic, since, held) : null;
        if (topic.gate?.get(subscription) !== held) return false;
        topic.gate.delete(subscription);
        if (topic.gate.size === 0) topic.gate = null;
        if (since) options.onRecovery(publications !== null);
        begin({ ...topic.live, isRecovered: publications !== null, publications: publications ?? [] });
        const outlet = outletFor(topic, subscription);
        outlet.add(subscription);
        options.onMembers(outlet.encoder, outlet.channel, outlet.members.size);
        return true;
      } catch (error) {
        detach(subscription);
        throw error;
      }
    },
    onPublication(name, publication, epoch) {
      const topic = topics.get(name);
      if (!topic) return;
      if (topic.live === NOWHERE) topic.live = { epoch, offset: publication.offset - 1 };
      if (epoch === topic.live.epoch && publication.offset <= topic.live.offset) return;
      if (epoch === topic.live.epoch && publication.offset === topic.live.offset + 1) deliver(topic, publication);
      else catchUp(topic);
    },
    onPresence(name, change) {
      for (const outlet of topics.get(name)?.outlets ?? []) outlet.tellPresence(change);
    },
    onDoubt(name) {
      for (const topic of name === null ? [...topics.values()] : [topics.get(name)]) {
        if (topic && topic.live !== NOWHERE) catchUp(topic);
      }
    },
    get size() {
      return topics.size;
    },
    list: () =>
      [...topics.values()].map(({ name, live, outlets }) => ({
        topic: name,
        subscribers: outlets.reduce((sum, { members }) => sum + members.size, 0),
        ...live,
      })),
  };
}
