import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { startBunkhouse } from '../harness/bunkhouse.ts';
import { cpuSeconds } from '../harness/proc.ts';
import type { RunningServer } from '../harness/server.ts';
import { installPeer } from '../peers/install.ts';
import { startPocketBase } from '../peers/pocketbase.ts';
import { type Order, openSubscribers, type Sample, type Subscribers } from './subscribers.ts';
import { TOPIC, type WireName } from './wires.ts';

const PEERS = join(import.meta.dir, '../peers');
const SERVER_KEY = 'a-server-key-of-the-benchmarks-0123456789';
const JSON_BODY = { 'content-type': 'application/json' };
/** What is published: about the size of a chat message with its sender. */
const DATA = { from: 'somebody', text: 'A message of about a hundred bytes, as chats and boards have them.' };

/** A server, or several that are one, with its subscribers. */
export interface Contender {
  readonly name: string;
  readonly servers: readonly RunningServer[];
  readonly subscribers: Subscribers;
  close(): Promise<void>;
}

/** What one order came to, on both sides. */
export interface Measured extends Sample {
  readonly deliveriesPerSecond: number;
  /** CPU time of the servers for one delivery. */
  readonly cpuMicros: number;
  /** Share of their core that the servers used. */
  readonly busy: number;
}

export async function measure({ servers, subscribers }: Contender, order: Order): Promise<Measured> {
  const used = () => servers.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  const before = used();
  const sample = await subscribers.carryOut(order);
  const cpu = used() - before;
  return {
    ...sample,
    deliveriesPerSecond: sample.deliveries / sample.seconds,
    cpuMicros: (cpu * 1e6) / sample.deliveries,
    busy: cpu / sample.seconds,
  };
}

/** @param env what is added to the settings of each of the servers. */
export async function openOurs(
  bench: Bench,
  name: string,
  count: number,
  { env = {}, processes = 1, extra = [] }: OursOptions = {},
): Promise<Contender> {
  const servers: RunningServer[] = [];
  for (let index = 0; index < processes; index++)
    servers.push(await startBunkhouse(bench, `sockets-${processes}-${index}`, { SERVER_KEY, ...env }));
  const publishTo = {
    path: '/api/sockets/publish',
    headers: { ...JSON_BODY, authorization: `Bearer ${SERVER_KEY}` },
    body: JSON.stringify({ topic: TOPIC, data: DATA }),
  };
  return toContender(name, 'centrifugo', servers, count, publishTo, extra);
}

export interface OursOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly processes?: number;
  /** Servers whose CPU time counts with theirs. */
  readonly extra?: readonly RunningServer[];
}

/** The very frame that ours sends, without a number that grows. */
export async function openRaw(bench: Bench, count: number): Promise<Contender> {
  const server = await bench.start({
    name: 'raw-sockets',
    command: ['bun', join(PEERS, 'raw-sockets.ts')],
    env: { NODE_ENV: 'production' },
    readyPath: '/ready',
  });
  const body = `{"push":{"channel":"${TOPIC}","pub":{"data":${JSON.stringify(DATA)},"offset":1000}}}`;
  return toContender('raw server.publish', 'raw', [server], count, { path: '/publish', headers: {}, body });
}

export async function openSocketIo(bench: Bench, count: number): Promise<Contender & { readonly versions: string[] }> {
  const versions = await installPeer('socketio', { 'socket.io': '4.8.1' });
  const server = await bench.start({
    name: 'socketio',
    command: ['node', join(PEERS, 'socketio.mjs')],
    env: { NODE_ENV: 'production' },
    readyPath: '/ready',
  });
  const publishTo = { path: '/publish', headers: JSON_BODY, body: JSON.stringify(DATA) };
  return { ...(await toContender('Socket.IO', 'socket.io', [server], count, publishTo)), versions };
}

/** Subscribers of a collection that anybody may list, so that it has no rule to look up. */
export async function openPocketBase(
  bench: Bench,
  count: number,
): Promise<Contender & { readonly versions: string[] }> {
  const { server, ticks, versions } = await startPocketBase(bench);
  const publishTo = { path: ticks, headers: JSON_BODY, body: JSON.stringify({ title: DATA.text }) };
  return { ...(await toContender('PocketBase', 'pocketbase', [server], count, publishTo)), versions };
}

async function toContender(
  name: string,
  wire: WireName,
  servers: readonly RunningServer[],
  count: number,
  publishTo: { readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: string },
  extra: readonly RunningServer[] = [],
): Promise<Contender> {
  const origins = servers.map(({ origin }) => origin);
  const subscribers = await openSubscribers({
    wire,
    origins,
    count,
    tokens: null,
    publishTo: { ...publishTo, origins },
  });
  return {
    name,
    servers: [...servers, ...extra],
    subscribers,
    async close() {
      await subscribers.close();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}
