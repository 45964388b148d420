import { randomToken } from '../kernel/ids.ts';
import {
  type BusListener,
  HISTORY_BOUNDS,
  type HistoryBounds,
  type HistoryQuery,
  IDEMPOTENCY_MS,
  type Position,
  type Publication,
} from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { LocalBus } from './fallback-bus.ts';
import { toHistoryPage } from './history-page.ts';
import { memoryAudience } from './memory-audience.ts';
import { memoryPresence } from './memory-presence.ts';

export interface MemoryBusOptions {
  readonly clock: Clock;
  readonly bounds?: HistoryBounds;
  /** Most bytes of all streams together. */
  readonly maxBytes?: number;
  /** Most streams that are remembered while nobody listens to them. */
  readonly maxStreams?: number;
}

interface Stream {
  readonly epoch: string;
  offset: number;
  /** Oldest first. Entries before `first` are dropped and wait to be cut off. */
  kept: Publication[];
  first: number;
  bytes: number;
  keys: Map<string, { readonly position: Position; readonly at: number }> | null;
  /** Deliveries are wanted. */
  isHeard: boolean;
}

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const DEFAULT_MAX_STREAMS = 100_000;
/** What an entry costs beside its data. */
const ENTRY_BYTES = 200;

/** The bus of one process. Everything is lost with it, so every start has new epochs. */
export function memoryBus(options: MemoryBusOptions): LocalBus {
  const { clock, bounds = HISTORY_BOUNDS, maxBytes = DEFAULT_MAX_BYTES, maxStreams = DEFAULT_MAX_STREAMS } = options;
  /** In the order of their last publication. */
  const streams = new Map<string, Stream>();
  const life = randomToken(6);
  let generation = 0;
  let epochNow = `${life}.0`;
  let totalBytes = 0;
  let listener: BusListener | null = null;

  const beginEpoch = () => {
    epochNow = `${life}.${++generation}`;
  };

  /** Drops what the bounds no longer allow; cuts the array only now and then, so that a publish stays cheap. */
  const prune = (stream: Stream) => {
    const oldest = clock.now() - bounds.maxAgeMs;
    for (let entry = stream.kept[stream.first]; entry; entry = stream.kept[stream.first]) {
      const isTooMuch = stream.kept.length - stream.first > bounds.maxCount || stream.bytes > bounds.maxBytes;
      if (!isTooMuch && entry.at >= oldest) break;
      stream.first++;
      stream.bytes -= sizeOf(entry);
      totalBytes -= sizeOf(entry);
    }
    if (stream.first > 64 && stream.first * 2 > stream.kept.length) {
      stream.kept = stream.kept.slice(stream.first);
      stream.first = 0;
    }
  };

  const clear = (stream: Stream) => {
    totalBytes -= stream.bytes;
    stream.bytes = 0;
    stream.kept = [];
    stream.first = 0;
  };

  /**
   * Past the byte bound the quietest streams lose their history and keep their numbers. Past the count bound the quietest that
   * nobody listens to is forgotten; should it come back, it must not continue numbers of before, so later streams have another
   * epoch.
   */
  const forgetOldest = () => {
    if (totalBytes > maxBytes) {
      for (const stream of streams.values()) {
        if (totalBytes <= maxBytes) break;
        clear(stream);
      }
    }
    if (streams.size <= maxStreams) return;
    for (const [topic, stream] of streams) {
      if (stream.isHeard) continue;
      clear(stream);
      streams.delete(topic);
      beginEpoch();
      if (streams.size <= maxStreams) return;
    }
  };

  const create = (topic: string): Stream => {
    const stream = { epoch: epochNow, offset: 0, kept: [], first: 0, bytes: 0, keys: null, isHeard: false };
    streams.set(topic, stream);
    return stream;
  };

  const presence = memoryPresence(clock, (topic, change) => {
    if (streams.get(topic)?.isHeard) listener?.onPresence(topic, change);
  });

  return {
    presence: presence.store,
    audience: memoryAudience(),
    listen(heard) {
      listener = heard;
    },
    async publish(topic, draft, idempotencyKey) {
      const stream = streams.get(topic) ?? create(topic);
      const at = clock.now();
      if (idempotencyKey !== undefined) {
        stream.keys ??= new Map();
        forgetKeys(stream.keys, at - IDEMPOTENCY_MS);
        const known = stream.keys.get(idempotencyKey);
        if (known) return { ...known.position, isRepeat: true };
      }
      // To the end of the order.
      streams.delete(topic);
      streams.set(topic, stream);
      const publication: Publication = { ...draft, offset: ++stream.offset, at };
      stream.kept.push(publication);
      stream.bytes += sizeOf(publication);
      totalBytes += sizeOf(publication);
      prune(stream);
      const position = { epoch: stream.epoch, offset: stream.offset };
      if (idempotencyKey !== undefined) stream.keys?.set(idempotencyKey, { position, at });
      if (stream.isHeard) listener?.onPublication(topic, publication, stream.epoch);
      forgetOldest();
      return { ...position, isRepeat: false };
    },
    async subscribe(topic) {
      const stream = streams.get(topic) ?? create(topic);
      stream.isHeard = true;
      return { epoch: stream.epoch, offset: stream.offset };
    },
    unsubscribe(topic) {
      const stream = streams.get(topic);
      if (!stream) return;
      stream.isHeard = false;
      if (stream.offset === 0) streams.delete(topic);
    },
    async history(topic, query) {
      const stream = streams.get(topic);
      if (!stream) {
        return { epoch: epochNow, offset: 0, publications: [], isUnbroken: isAtStart(query, epochNow) };
      }
      prune(stream);
      return toHistoryPage(stream, stream.kept.slice(stream.first), query);
    },
    async signal(signal) {
      listener?.onSignal(signal);
    },
    ping: async () => undefined,
    forget() {
      totalBytes = 0;
      beginEpoch();
      for (const [topic, { isHeard }] of [...streams]) {
        streams.delete(topic);
        if (isHeard) create(topic).isHeard = true;
      }
    },
    close: async () => presence.close(),
  };
}

/** A stream without a past is unbroken for who knows its beginning. */
function isAtStart({ since }: HistoryQuery, epoch: string): boolean {
  return since !== undefined && since.epoch === epoch && since.offset === 0;
}

function forgetKeys(keys: Map<string, { readonly at: number }>, before: number): void {
  for (const [key, { at }] of keys) {
    if (at > before) return;
    keys.delete(key);
  }
}

function sizeOf(publication: Publication): number {
  return publication.data.length + ENTRY_BYTES;
}
