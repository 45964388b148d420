import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type Call, createClient, register, type Tokens } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { type Sqld, sqldProgram, startSqld } from '../support/sqld.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** Milliseconds each way between a region and the primary. */
const DISTANCE_MS = 40;

/** One region: a machine with its own disk, and the network between it and the primary. */
interface Region {
  readonly server: TestServer;
  readonly network: TcpProxy;
  readonly call: Call;
}

let primary: Sqld;
const regions: Region[] = [];
let person: Tokens;

async function startRegion(): Promise<Region> {
  const network = await startTcpProxy({ targetPort: primary.port, delayMs: DISTANCE_MS });
  const server = await startServer({
    env: {
      DATABASE_URL: network.url,
      DATABASE_REPLICA_PATH: join('replica', 'main.db'),
      BUNKHOUSE_SECRET: 'one-secret-for-all-regions-of-this-test-0123',
    },
  });
  return { server, network, call: createClient(server.url) };
}

describe.skipIf(!sqldProgram)('two regions with one primary', () => {
  beforeAll(async () => {
    primary = await startSqld();
    await Promise.all(
      [0, 1].map(async (number) => {
        regions[number] = await startRegion();
      }),
    );
    person = await register(here().call, 'traveller@example.org');
  }, 60_000);
  afterAll(async () => {
    for (const { server, network } of regions) {
      await server[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
    }
    await primary?.[Symbol.asyncDispose]();
  });

  const here = () => regions[0] as Region;
  const there = () => regions[1] as Region;
  const me = ({ call }: Region) => call('GET', '/api/auth/me', { token: person.access_token, may5xx: true });
  const store = ({ call }: Region, name: string) =>
    call('PUT', `/api/files/by-name/${name}`, { token: person.access_token, body: name, may5xx: true });
  const namesIn = async ({ call }: Region) => {
    const names: string[] = [];
    let cursor: unknown = '';
    while (cursor !== null) {
      const path = `/api/files?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const { json } = await call('GET', path, { token: person.access_token });
      names.push(...(json['items'] as { name: string }[]).map(({ name }) => name));
      cursor = json['nextCursor'] ?? null;
    }
    return names;
  };

  test('what is written in one is read there at once, and soon in the other', async () => {
    const answer = await here().call('PATCH', '/api/auth/me', {
      token: person.access_token,
      json: { name: 'Everywhere' },
    });
    expect(answer.status).toBe(200);
    expect((await me(here())).json).toMatchObject({ name: 'Everywhere' });
    await eventually(async () => (await me(there())).json['name'] === 'Everywhere');
  }, 30_000);

  test('reads take no round trip to the primary', async () => {
    const took: number[] = [];
    for (let read = 0; read < 50; read++) {
      const startedAt = performance.now();
      expect((await me(there())).status).toBe(200);
      took.push(performance.now() - startedAt);
    }
    took.sort((a, b) => a - b);
    expect(took[25]).toBeLessThan(DISTANCE_MS);
  });

  test('the primary dies under traffic: reads never fail, writes do with 503 and come back, nothing acknowledged is missing', async () => {
    const acknowledged: string[] = [];
    const reads = new Set<number>();
    const writes = new Set<number>();
    const refused = [0, 0];
    let isRunning = true;
    const write = async (region: Region, number: number) => {
      for (let turn = 1; isRunning; turn++) {
        const name = `region-${number}-${turn}.txt`;
        const { status, headers } = await store(region, name);
        writes.add(status);
        if (status === 201) acknowledged.push(name);
        else refused[number] = (refused[number] ?? 0) + 1;
        if (status === 503) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
    };
    const read = async (region: Region) => {
      while (isRunning) {
        reads.add((await me(region)).status);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const traffic = regions.flatMap((region, number) => [write(region, number), read(region)]);
    await eventually(() => acknowledged.length > 10, 20_000);
    await primary.kill();
    await eventually(() => refused.every((count) => count > 5), 30_000);
    await primary.start();
    const before = acknowledged.length;
    await eventually(() => acknowledged.length > before + 10, 60_000);
    isRunning = false;
    await Promise.all(traffic);

    expect([...reads]).toEqual([200]);
    expect([...writes].sort()).toEqual([201, 503]);
    for (const region of regions) {
      await eventually(async () => {
        const names = new Set(await namesIn(region));
        return acknowledged.every((name) => names.has(name));
      }, 20_000);
    }
  }, 150_000);

  test('a region whose network is cut goes on reading, and readiness says what it lacks', async () => {
    there().network.cut();
    await eventually(async () => (await store(there(), 'unreachable.txt')).status === 503);
    expect((await me(there())).status).toBe(200);
    expect((await store(here(), 'reachable.txt')).status).toBe(201);
    there().network.restore();
    await eventually(async () => (await store(there(), 'reachable-again.txt')).status === 201, 30_000);
  }, 60_000);

  test('a region restarts while the primary is gone', async () => {
    await primary.kill();
    const server = await there().server.restart();
    const restarted = { ...there(), server, call: createClient(server.url) };
    regions[1] = restarted;
    expect((await me(restarted)).status).toBe(200);
    await primary.start();
    await eventually(async () => (await store(restarted, 'after-restart.txt')).status === 201, 30_000);
  }, 60_000);
});
