import type { Soak, SoakRun } from '../soak.ts';
import { SoakClient } from './client.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { causeTrouble } from './trouble.ts';

const TOPICS = 50;
const TOPICS_PER_CLIENT = 2;
const ACCOUNTS = 20;
/** One in so many clients is signed in. */
const SIGNED_IN = 10;
/** Messages a second, over all topics. */
const PUBLISH_RATE = 50;
/** Clients that vanish in a second, one in so many. */
const FLAP_SHARE = 200;
/** Connections that are opened in one step at the start. */
const OPEN_AT_ONCE = 100;
const WHOLE_TIMEOUT_MS = 60_000;
const REPORT_MS = 10_000;

/** Recovery under everything that can happen to it at once. */
export const sockets: Soak = {
  name: 'sockets',
  summary: 'clients on two processes with Redis, while everything is killed in turn',
  seconds: 600,
  size: 5_000,
  unit: 'clients',
  async run(run) {
    await using cluster = await startCluster();
    const ledger = createLedger(run.fail);
    const topics = Array.from({ length: TOPICS }, (_, index) => `public.soak.${index}`);
    const accounts = await Promise.all(
      Array.from({ length: ACCOUNTS }, (_, index) => cluster.createAccount(`soak${index}@example.org`)),
    );
    const interrupted = new Promise<never>((_resolve, reject) => {
      run.signal.addEventListener('abort', () => reject(new Error('interrupted')));
    });
    // It is looked at once the clients are there.
    interrupted.catch(() => undefined);
    const clients = await openClients(run, cluster, ledger, topics, accounts);
    run.log('all clients are there', { clients: clients.length });

    const all = [...topics, ...accounts.map(({ topic }) => topic)];
    const publisher = startPublishing(cluster, ledger, all);
    const flapping = setInterval(() => {
      for (let count = Math.ceil(run.size / FLAP_SHARE); count > 0; count--) pick(clients).flap();
    }, 1_000);
    const reporting = setInterval(() => run.log('so far', { ...ledger.figures }), REPORT_MS);
    const troubles = await Promise.race([causeTrouble(run, cluster, ledger), interrupted]);
    clearInterval(flapping);
    await publisher.stop();

    // One more on each topic, so that it is known where each ends.
    await publisher.publishLast();
    await until(() => clients.every((client) => client.isWhole));
    clearInterval(reporting);
    const late = clients.filter((client) => !client.isWhole);
    for (const { chains } of late.slice(0, 5)) run.log('not whole', { chains: Object.fromEntries(chains) });
    if (late.length > 0) run.fail('in the end every client has everything', { clients: late.length });
    ledger.settle(clients.flatMap(({ chains }) => [...chains.values()]));
    for (const client of clients) client.stop();
    return { ...ledger.figures, unanswered: publisher.unanswered(), ...troubles };
  },
};

async function openClients(
  run: SoakRun,
  { urls }: Cluster,
  ledger: Ledger,
  topics: readonly string[],
  accounts: readonly { readonly token: string; readonly topic: string }[],
): Promise<SoakClient[]> {
  const clients: SoakClient[] = [];
  for (let index = 0; index < run.size; index++) {
    clients.push(
      new SoakClient({
        ledger,
        pickUrl: () => `${pick(urls).replace('http', 'ws')}/connection/websocket`,
        topics: Array.from({ length: TOPICS_PER_CLIENT }, (_, at) => topics[(index + at * 7) % TOPICS] as string),
        account: index % SIGNED_IN === 0 ? (accounts[(index / SIGNED_IN) % ACCOUNTS] ?? null) : null,
        onRefused: (code, reason) => run.fail('nobody is turned away', { code, reason }),
      }),
    );
    if (clients.length % OPEN_AT_ONCE === 0) await until(() => clients.every((client) => client.isWhole));
  }
  await until(() => clients.every((client) => client.isWhole));
  return clients;
}

function startPublishing({ urls, publish }: Cluster, ledger: Ledger, topics: readonly string[]) {
  let last = 0;
  let unanswered = 0;
  const running = new Set<Promise<boolean>>();

  const send = async (topic: string): Promise<boolean> => {
    const id = `m${++last}`;
    const startedAt = performance.now();
    try {
      ledger.acknowledge(topic, id, await publish(pick(urls), topic, { id }), startedAt);
      return true;
    } catch {
      // Nobody was promised anything about it.
      unanswered++;
      return false;
    }
  };
  const timer = setInterval(() => {
    const sending = send(topics[last % topics.length] as string);
    running.add(sending);
    sending.finally(() => running.delete(sending));
  }, 1_000 / PUBLISH_RATE);

  return {
    unanswered: () => unanswered,
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
    async publishLast() {
      for (const topic of topics) await until(() => send(topic));
    },
  };
}

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item;
}

/** Waits until it holds, or until there is no point in waiting. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WHOLE_TIMEOUT_MS;
  while (!(await condition()) && performance.now() < deadline) await Bun.sleep(100);
}
