import { readFrames, toFrame } from './frames.ts';
import type { Order, Sample, SubscribersOptions } from './subscribers.ts';
import { WIRES } from './wires.ts';

/**
 * Very many subscribers of one topic, and its publisher. The first line of its input says which; it opens them all, says `ready`,
 * and then carries out one order a line, answering each with a line.
 */
const lines = console[Symbol.asyncIterator]();
const options = JSON.parse((await lines.next()).value as string) as SubscribersOptions;
const { wire: wireName, origins, count, tokens, publishTo } = options;
const wire = WIRES[wireName];

/** Connections that are being opened at any time. */
const OPENING = 64;
const MESSAGE_BYTES = 3;
const LINE_BREAK = 0x0a;
const SETTLE_MS = 10_000;
/** Requests of the publisher that are on their way at any time. */
const PUBLISHING = 8;
/** What an event of the stream ends with, of a message and of nothing else. */
const EVENT_MARK = Buffer.from('"collectionName":"ticks"');
const BUCKET_MS = 0.1;
const BUCKETS = 200_000;

let deliveries = 0;
let published: number[] = [];
let latencies = new Uint32Array(BUCKETS);

class Subscriber {
  readonly opened = Promise.withResolvers<void>();
  /** Messages since the last order began. */
  messages = 0;
  #isUpgraded = false;
  #isSubscribed = false;
  #rest: Buffer | null = null;
  readonly #token: string | null;

  constructor(token: string | null) {
    this.#token = token;
  }

  hear(socket: Bun.Socket, chunk: Buffer): void {
    const whole = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = null;
    if (!this.#isUpgraded) this.#readHead(socket, whole);
    else if (wire.isEventStream) this.#readEvents(whole);
    else this.#readMessages(socket, whole);
  }

  #readMessages(socket: Bun.Socket, whole: Buffer): void {
    const now = performance.now();
    this.#rest = readFrames(whole, (start, end) => {
      if (this.#isSubscribed && end - start >= MESSAGE_BYTES) this.#countLines(whole, start, end, now);
      else this.#talk(socket, whole.toString('utf8', start, end));
    });
    // The buffer belongs to the runtime.
    if (this.#rest) this.#rest = Buffer.from(this.#rest);
  }

  /** Messages may share a frame, one a line. */
  #countLines(whole: Buffer, start: number, end: number, now: number): void {
    let at = start;
    do {
      this.#count(now);
      at = whole.indexOf(LINE_BREAK, at) + 1;
    } while (at > 0 && at < end);
  }

  #count(now: number): void {
    const sentAt = published[this.messages++];
    if (sentAt === undefined) return;
    deliveries++;
    const bucket = Math.min(BUCKETS - 1, Math.floor((now - sentAt) / BUCKET_MS));
    latencies[bucket] = (latencies[bucket] ?? 0) + 1;
  }

  #readHead(socket: Bun.Socket, whole: Buffer): void {
    const end = whole.indexOf('\r\n\r\n');
    if (end === -1) {
      this.#rest = Buffer.from(whole);
      return;
    }
    const status = whole.toString('latin1', 9, 12);
    if (status !== (wire.isEventStream ? '200' : '101')) this.opened.reject(new Error(`answered with ${status}`));
    this.#isUpgraded = true;
    for (const text of wire.greet(this.#token)) socket.write(toFrame(text));
    if (whole.length > end + 4) this.hear(socket, whole.subarray(end + 4));
  }

  #talk(socket: Bun.Socket, text: string): void {
    if (this.#isSubscribed) {
      const pong = wire.pong(text);
      if (pong !== null) socket.write(toFrame(pong));
      return;
    }
    const answer = wire.hear(text);
    if (answer !== 'subscribed') {
      for (const each of answer) socket.write(toFrame(each));
      return;
    }
    this.#isSubscribed = true;
    this.opened.resolve();
  }

  #readEvents(whole: Buffer): void {
    if (!this.#isSubscribed) {
      const id = /"clientId":"([^"]+)"/.exec(whole.toString())?.[1];
      if (id === undefined) this.#rest = Buffer.from(whole);
      else {
        this.#isSubscribed = true;
        subscribeEvents(id).then(this.opened.resolve, this.opened.reject);
      }
      return;
    }
    const now = performance.now();
    let at = whole.indexOf(EVENT_MARK);
    let read = 0;
    for (; at !== -1; at = whole.indexOf(EVENT_MARK, read)) {
      this.#count(now);
      read = at + EVENT_MARK.length;
    }
    // A mark may be cut in two.
    const from = Math.max(read, whole.length - EVENT_MARK.length + 1);
    if (from < whole.length) this.#rest = Buffer.from(whole.subarray(from));
  }
}

async function subscribeEvents(clientId: string): Promise<void> {
  const response = await fetch(`${origins[0]}${wire.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ clientId, subscriptions: ['ticks/*'] }),
  });
  if (!response.ok) throw new Error(`subscribing was answered with ${response.status}`);
}

const subscribers: Subscriber[] = [];
await openAll();
console.log('ready');
for (let line = await lines.next(); line.value; line = await lines.next())
  console.log(JSON.stringify(await carryOut(JSON.parse(line.value) as Order)));
process.exit(0);

async function openAll(): Promise<void> {
  const openOne = async (index: number) => {
    const subscriber = new Subscriber(tokens?.[index] ?? null);
    subscribers.push(subscriber);
    const url = new URL(origins[index % origins.length] as string);
    await Bun.connect({
      hostname: url.hostname,
      port: Number(url.port),
      socket: {
        open: (socket) => void socket.write(requestFor(url.host)),
        data: (socket, chunk) => subscriber.hear(socket, chunk),
        close: () => fail(new Error('a server closed a connection')),
        error: (_socket, error) => fail(error),
      },
    });
    await subscriber.opened.promise;
  };
  let next = 0;
  const work = async () => {
    while (next < count) await openOne(next++);
  };
  await Promise.all(Array.from({ length: OPENING }, work));
}

function requestFor(host: string): string {
  const upgrade = [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ];
  return [
    `GET ${wire.path} HTTP/1.1`,
    `Host: ${host}`,
    ...(wire.isEventStream ? ['Accept: text/event-stream'] : upgrade),
    '\r\n',
  ].join('\r\n');
}

async function carryOut({ messages, seconds, window, intervalMs }: Order): Promise<Sample> {
  for (const subscriber of subscribers) subscriber.messages = 0;
  deliveries = 0;
  published = [];
  latencies = new Uint32Array(BUCKETS);
  const startedAt = performance.now();
  const isOver = () =>
    (messages !== undefined && published.length >= messages) || performance.now() - startedAt > seconds * 1_000;

  const publish = async () => {
    while (!isOver()) {
      if (published.length - deliveries / count >= window) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      published.push(performance.now());
      const origin = publishTo.origins[published.length % publishTo.origins.length];
      const response = await fetch(`${origin}${publishTo.path}`, {
        method: 'POST',
        headers: publishTo.headers,
        body: publishTo.body,
      });
      if (!response.ok) throw new Error(`publishing was answered with ${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
      if (intervalMs > 0) await Bun.sleep(intervalMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PUBLISHING, window) }, publish));

  const settleUntil = performance.now() + SETTLE_MS;
  const expected = published.length * count;
  while (deliveries < expected && performance.now() < settleUntil) await Bun.sleep(1);
  return {
    messages: published.length,
    deliveries,
    missing: expected - deliveries,
    seconds: (performance.now() - startedAt) / 1_000,
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
  };
}

function percentile(share: number): number {
  let left = deliveries * share;
  for (const [bucket, amount] of latencies.entries()) {
    left -= amount;
    if (left <= 0) return (bucket + 1) * BUCKET_MS;
  }
  return 0;
}

/** A connection that is lost makes every figure worthless. */
function fail(error: Error): never {
  console.error(error.message);
  process.exit(1);
}
