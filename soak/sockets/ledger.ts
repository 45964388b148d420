import type { SoakRun } from '../soak.ts';

/** A place in a topic's stream. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/**
 * What one client was given of one topic without a break: from where it began, each message once and in order. It is broken only by
 * a word of the server that the past is lost.
 */
export interface Chain {
  readonly topic: string;
  readonly epoch: string;
  offset: number;
  /** When the server had begun it. */
  readonly since: number;
  /** When it last grew or was confirmed: a client that was away since before a disturbance may learn of it late. */
  seenAt: number;
}

/** So long machines may take to find the shared bus again. */
const HEAL_MS = 6_000;

/** The checker: hears everything that was published and everything that every client was given. */
export interface Ledger {
  /** A client was told to begin here. @param before what it had until then, when it had asked to go on from there. */
  begin(topic: string, at: Place, before: Chain | null): Chain;
  /** A client was given a message. */
  give(chain: Chain, offset: number, id: string): void;
  /** A client was told that everything up to there was in what it was given. */
  confirm(chain: Chain, at: Place): void;
  /** A message was acknowledged to its publisher. */
  acknowledge(topic: string, id: string, at: Place, startedAt: number): void;
  /** The shared bus is disturbed from here on: pasts may be lost, also more than once. */
  disturb(): void;
  /** The disturbance is over; what heals now may still cost pasts. */
  calm(): void;
  /** Whether the chain has all that its topic has. */
  isComplete(chain: Chain): boolean;
  /** Looks at what every client was left with. */
  settle(chains: Iterable<Chain>): void;
  readonly figures: Readonly<Record<string, number>>;
}

interface Acknowledged extends Place {
  readonly startedAt: number;
}

export function createLedger(fail: SoakRun['fail']): Ledger {
  /** What stands at each place, by topic, epoch and offset: whoever is given it, is given the same. */
  const contents = new Map<string, string>();
  const acknowledged = new Map<string, Acknowledged[]>();
  /** The last acknowledged place of each topic. */
  const heads = new Map<string, Acknowledged>();
  const figures = { published: 0, delivered: 0, begun: 0, recovered: 0, toldLost: 0 };
  /** Until then losses have a reason. */
  let restlessUntil = 0;

  const check = (topic: string, { epoch, offset }: Place, id: string) => {
    const place = `${topic} ${epoch} ${offset}`;
    const known = contents.get(place);
    if (known === undefined) contents.set(place, id);
    else if (known !== id) fail('a place holds one message', { place, first: known, second: id });
  };

  return {
    figures,
    begin(topic, { epoch, offset }, before) {
      figures.begun++;
      if (before) {
        figures.toldLost++;
        const hasReason = performance.now() < restlessUntil || before.seenAt < restlessUntil;
        if (!hasReason) fail('the past is lost only when the bus was disturbed', { topic, before, epoch, offset });
      }
      return { topic, epoch, offset, since: performance.now(), seenAt: performance.now() };
    },
    give(chain, offset, id) {
      figures.delivered++;
      if (offset !== chain.offset + 1)
        fail('every message once and in order', { topic: chain.topic, had: chain.offset, got: offset, id });
      chain.offset = Math.max(chain.offset, offset);
      chain.seenAt = performance.now();
      check(chain.topic, { epoch: chain.epoch, offset }, id);
    },
    confirm(chain, { epoch, offset }) {
      figures.recovered++;
      chain.seenAt = performance.now();
      if (epoch !== chain.epoch || offset !== chain.offset)
        fail('what is recovered is whole', { topic: chain.topic, had: chain, told: { epoch, offset } });
    },
    acknowledge(topic, id, { epoch, offset }, startedAt) {
      figures.published++;
      check(topic, { epoch, offset }, id);
      const entry = { epoch, offset, startedAt };
      const list = acknowledged.get(topic) ?? [];
      acknowledged.set(topic, list);
      list.push(entry);
      const head = heads.get(topic);
      if (!head || head.startedAt < startedAt) heads.set(topic, entry);
    },
    disturb() {
      restlessUntil = Number.POSITIVE_INFINITY;
    },
    calm() {
      restlessUntil = performance.now() + HEAL_MS;
    },
    isComplete(chain) {
      const head = heads.get(chain.topic);
      return !head || (head.epoch === chain.epoch && head.offset <= chain.offset);
    },
    settle(chains) {
      for (const chain of chains) {
        // What was acknowledged after it had begun is in it, and nowhere else.
        for (const { epoch, offset, startedAt } of acknowledged.get(chain.topic) ?? []) {
          if (startedAt <= chain.since) continue;
          if (epoch !== chain.epoch || offset > chain.offset)
            fail('what was acknowledged arrives, or its loss is told', { chain, missing: { epoch, offset } });
        }
      }
    },
  };
}
