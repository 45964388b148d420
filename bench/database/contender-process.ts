import { type Contender, contenders } from './contenders.ts';
import { type Item, itemOf, SEEDED } from './items.ts';
import type { Order, Outcome } from './measure.ts';

/** One contender in a process of its own: does what the order says, prints the outcome as JSON and ends. */

const WARM_UP_SHARE = 0.3;
/** Reads whose time is taken one by one; the rest only counts. */
const TIMED = 100_000;

const itemIds = Array.from({ length: SEEDED }, (_, number) => itemOf(number).id);
let nextNumber = SEEDED;
const order = JSON.parse(Bun.argv[2] ?? '') as Order;
const contender: Contender = await contenders[order.contender]({ directory: order.directory, url: order.url });
await check();
await work(order.seconds * WARM_UP_SHARE);
process.stdout.write(JSON.stringify(await work(order.seconds)));
process.exit(0);

/** A contender that finds nothing would be the fastest. */
async function check(): Promise<void> {
  const { id, title } = itemOf(SEEDED - 1);
  const row = (await contender.read(id)) as Partial<Item> | undefined;
  if (row?.title !== title) throw new Error(`${order.contender} does not find a row`);
}

function work(seconds: number): Promise<Outcome> {
  return order.task === 'read' ? readFor(seconds) : insertFor(seconds, order.atOnce);
}

async function readFor(seconds: number): Promise<Outcome> {
  const times = new Float64Array(TIMED);
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let count = 0;
  let now = startedAt;
  for (let number = 1; now < endsAt; count++) {
    // A prime that does not divide their number: all rows come, far from each other.
    number = (number + 7_919) % SEEDED;
    const answer = contender.read(itemIds[number] as string);
    if (answer instanceof Promise) await answer;
    const before = now;
    now = performance.now();
    times[count % TIMED] = now - before;
  }
  const sorted = times.slice(0, Math.min(count, TIMED)).sort();
  return { perSecond: count / ((now - startedAt) / 1000), medianMicros: (sorted[sorted.length >> 1] ?? 0) * 1000 };
}

async function insertFor(seconds: number, atOnce: number): Promise<Outcome> {
  const { insert } = contender;
  if (!insert) throw new Error(`${order.contender} does not insert`);
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const first = nextNumber;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (performance.now() < endsAt) await insert(itemOf(nextNumber++));
    }),
  );
  const count = nextNumber - first;
  const elapsedMs = performance.now() - startedAt;
  return { perSecond: count / (elapsedMs / 1000), medianMicros: (elapsedMs * 1000 * atOnce) / count };
}
