import { afterEach, describe, expect, test } from 'bun:test';
import { type BunServer, startBunServer } from '../../src/drivers/bun-server.ts';
import { refusedResponse } from '../../src/web/hosts.ts';
import { createOpening, type Opening } from '../../src/web/opening.ts';

const NEVER_MS = 60_000;
const limits = { waitMs: NEVER_MS, maxWaiting: 3, maxBodyBytes: 100 };

let server: BunServer | null = null;
afterEach(() => server?.stop());

/** A server that listens and is not ready; `seen` has the paths that came through. */
function listen(opening: Opening) {
  const seen: string[] = [];
  const open = { open: () => undefined, message: () => undefined, drain: () => undefined, close: () => undefined };
  server = startBunServer({
    hostname: '127.0.0.1',
    port: 0,
    isHostAllowed: (host) => host?.startsWith('127.0.0.1') === true,
    refuse: refusedResponse,
    async handle(request, { peerAddress }) {
      seen.push(new URL(request.url).pathname);
      return Response.json({ peerAddress, body: await request.text() });
    },
    sockets: {
      paths: ['/socket'],
      accept: (request) => {
        seen.push(new URL(request.url).pathname);
        return open;
      },
      attach: () => undefined,
    },
    opening,
  });
  return { origin: server.url, seen };
}

describe('before it is ready the server', () => {
  test('says that it lives, and lets everything else wait until it is', async () => {
    const opening = createOpening(limits);
    const { origin, seen } = listen(opening);
    const early = fetch(`${origin}/early`, { method: 'POST', body: 'kept' });
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/socket`);
    const connected = new Promise<string>((resolve) => {
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve('refused');
    });
    for (const method of ['GET', 'HEAD']) {
      expect((await fetch(`${origin}/health/live`, { method })).status, method).toBe(200);
    }
    expect(seen).toEqual([]);
    opening.end();
    expect(await (await early).json()).toEqual({ peerAddress: '127.0.0.1', body: 'kept' });
    expect(await connected).toBe('open');
    socket.close();
    expect(seen.sort()).toEqual(['/early', '/socket']);
    expect((await fetch(`${origin}/later`)).status).toBe(200);
  });

  test('says at once that it is not ready, to any host and however many wait', async () => {
    const opening = createOpening({ ...limits, maxWaiting: 1 });
    const { origin, seen } = listen(opening);
    const probe = () => fetch(`${origin}/health/ready?verbose`, { headers: { host: 'of-a-probe' } });
    for (let round = 0; round < 3; round++) {
      const answer = await probe();
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
      expect(await answer.json()).toMatchObject({ code: 'server/starting', instance: '/health/ready' });
    }
    // None of them took the only place.
    const early = fetch(`${origin}/early`);
    expect((await probe()).status).toBe(503);
    opening.end();
    expect([(await early).status, (await probe()).status]).toEqual([200, 200]);
    expect(seen.sort()).toEqual(['/early', '/health/ready']);
  });

  test('is still strict about hosts', async () => {
    const opening = createOpening(limits);
    const { origin, seen } = listen(opening);
    const early = fetch(`${origin}/early`, { headers: { host: 'evil.example' } });
    opening.end();
    expect((await early).status).toBe(421);
    expect(seen).toEqual([]);
  });

  test('answers 503 to whom it would keep waiting for too long, and says when to come back', async () => {
    const { origin, seen } = listen(createOpening({ ...limits, waitMs: 1 }));
    const answer = await fetch(`${origin}/early?token=hunter2`);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const problem = (await answer.json()) as Record<string, unknown>;
    expect(problem).toMatchObject({ code: 'server/starting', instance: '/early' });
    expect(problem['requestId']).toBe(answer.headers.get('x-request-id'));
    expect(seen).toEqual([]);
  });

  test('keeps no large body and none of unknown length in memory', async () => {
    const { origin, seen } = listen(createOpening(limits));
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(10)) });
    for (const body of ['x'.repeat(101), endless]) {
      expect((await fetch(`${origin}/early`, { method: 'POST', body })).status).toBe(503);
    }
    expect(seen).toEqual([]);
  });

  test('lets no more wait than it has room for; a place that is free again is given again', async () => {
    const opening = createOpening({ ...limits, waitMs: 50 });
    const wait = () => opening.wait(new Request('http://127.0.0.1/early'));
    const firsts = [wait(), wait(), wait()];
    expect((await wait())?.status).toBe(503);
    for (const refusal of await Promise.all(firsts)) expect(refusal?.status).toBe(503);
    const next = wait();
    opening.end();
    expect(await next).toBeNull();
  });
});
