import type { Hub, TopicState } from './hub.ts';
import type { Registry } from './registry.ts';
import type { SocketMetrics } from './socket-metrics.ts';

/** What an admin sees of the sockets of this process. */
export interface Overview {
  readonly connections: { readonly total: number; readonly users: number; readonly byWire: Record<string, number> };
  readonly topics: { readonly total: number; readonly items: TopicState[] };
  readonly rates: { readonly publishedPerSecond: number; readonly deliveredPerSecond: number };
  readonly backlogBytes: number;
}

export interface Inspector {
  look(): Overview;
  /** Measures the rates; called about once a second. */
  tick(now: number): void;
}

const MAX_TOPICS = 100;

export function createInspector(registry: Registry, hub: Hub, { totals }: SocketMetrics): Inspector {
  let last = { ...totals, at: 0 };
  let rates = { publishedPerSecond: 0, deliveredPerSecond: 0 };
  return {
    look: () => ({
      connections: {
        total: registry.size,
        users: registry.userCount,
        byWire: Object.fromEntries(registry.countByWire()),
      },
      topics: {
        total: hub.size,
        items: hub
          .list()
          .sort((a, b) => b.subscribers - a.subscribers)
          .slice(0, MAX_TOPICS),
      },
      rates,
      backlogBytes: registry.backlogBytes,
    }),
    tick(now) {
      const seconds = (now - last.at) / 1000;
      if (seconds <= 0) return;
      rates = {
        publishedPerSecond: (totals.published - last.published) / seconds,
        deliveredPerSecond: (totals.delivered - last.delivered) / seconds,
      };
      last = { ...totals, at: now };
    },
  };
}
