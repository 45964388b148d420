import { MemoryTier } from '../../src/kernel/memory-tier.ts';
import { createDataCache } from '../../src/modules/cache/data-cache.ts';
import { createCacheStore } from '../../src/modules/cache/store.ts';
import { systemClock } from '../../src/ports/clock.ts';
import type { Order, Outcome, TaskName } from './data.ts';

/** One task in a process of its own: does it for as long as the order says, prints the outcome as JSON and ends. */

const KEYS = 10_000;
const WARM_UP_SHARE = 0.3;
/** Calls that are timed together: a clock reading costs about as much as a hit. */
const BATCH = 100;
const MAX_BATCHES = 200_000;

const order = JSON.parse(Bun.argv[2] ?? '') as Order;
const store = createCacheStore({ clock: systemClock, backend: null, memory: new MemoryTier(256 * 1024 * 1024) });
const cache = createDataCache({
  store,
  clock: systemClock,
  onFault(error) {
    throw error;
  },
});
const options = { ttl: 3600, tags: ['bench'] };
const itemOf = (index: number) => ({ id: index, name: `item ${index}`, tags: ['a', 'b'], price: 12.5 });
const neverLoad = () => {
  throw new Error('there should have been a hit');
};
const keys = Array.from({ length: KEYS }, (_, index) => `items/${index}`);
const plain = new Map(keys.map((key, index) => [key, itemOf(index)]));
for (const [index, key] of keys.entries()) {
  await cache.get(key, options, () => itemOf(index));
  await cache.get(`dated/${key}`, options, () => ({ ...itemOf(index), at: new Date() }));
}
const shuffled = Uint32Array.from({ length: 65_536 }, () => Math.floor(Math.random() * KEYS));
let turn = 0;

const tasks: Readonly<Record<TaskName, () => Promise<unknown>>> = {
  floor: async () => plain.get('items/7'),
  hit: () => cache.get('items/7', options, neverLoad),
  spread: () => cache.get(keys[shuffled[turn++ & 65_535] as number] as string, options, neverLoad),
  dated: () => cache.get('dated/items/7', options, neverLoad),
  purged: async () => {
    if (turn++ % BATCH === 0) await store.purge({ tags: ['nobody'] });
    return cache.get('items/7', options, neverLoad);
  },
  fill: () => cache.get(`fill/${turn++}`, options, () => itemOf(turn)),
};

const task = tasks[order.task];
if ((await task()) === undefined) throw new Error(`${order.task} gives nothing`);
await work(order.seconds * WARM_UP_SHARE);
process.stdout.write(JSON.stringify(await work(order.seconds)));
process.exit(0);

async function work(seconds: number): Promise<Outcome> {
  const times: number[] = [];
  const endsAt = performance.now() + seconds * 1000;
  let now = performance.now();
  while (now < endsAt && times.length < MAX_BATCHES) {
    const startedAt = now;
    for (let index = 0; index < BATCH; index++) await task();
    now = performance.now();
    times.push(((now - startedAt) * 1000) / BATCH);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { mean: times.reduce((sum, time) => sum + time, 0) / times.length, median: at(0.5), p99: at(0.99) };
}
