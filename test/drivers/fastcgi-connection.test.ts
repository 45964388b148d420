import { describe, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'bun';
import { createFastCgiCodec, FastCgiConnection } from '../../src/drivers/fastcgi-connection.ts';
import { createRequestEncoder } from '../../src/drivers/fastcgi-records.ts';
import type { PhpParams, PhpRequest } from '../../src/ports/php-pool.ts';
import { eventually } from '../support/eventually.ts';

/** A FastCGI server that reads nothing until it is told to, and never answers. */
async function startSilentServer() {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-fastcgi-'));
  const unix = join(folder, 'socket');
  const clients: { socket: Socket; bytes: Buffer }[] = [];
  const listener = Bun.listen({
    unix,
    socket: {
      open(socket) {
        socket.pause();
        clients.push({ socket, bytes: Buffer.alloc(0) });
      },
      data(socket, chunk) {
        const client = clients.find((each) => each.socket === socket);
        if (client) client.bytes = Buffer.concat([client.bytes, chunk]);
      },
    },
  });
  return {
    unix,
    clients,
    async [Symbol.asyncDispose]() {
      listener.stop(true);
      await rm(folder, { recursive: true });
    },
  };
}

function requestOf(params: PhpParams): PhpRequest {
  return { params, body: null, isSafe: true, isGone: () => false, onErrors: () => undefined };
}

/** Hundreds of kilobytes: more than a socket takes at once. */
const large = (letter: string): PhpParams =>
  Array.from({ length: 8 }, (_, index) => [`HTTP_X_${index}`, letter.repeat(55_000)] as const);

describe('a connection whose socket takes only a part of a request', () => {
  test('sends the rest of that request, whatever was written for others meanwhile', async () => {
    await using server = await startSilentServer();
    const codec = createFastCgiCodec();
    const events = { onIdle: () => undefined, onClosed: () => undefined };
    const letters = ['a', 'b', 'c'];
    const connections: FastCgiConnection[] = [];
    for (const _ of letters) connections.push(await FastCgiConnection.open({ unix: server.unix }, events, 5_000));
    const answers = Promise.allSettled(
      connections.map((connection, index) => connection.send(requestOf(large(letters[index] as string)), codec)),
    );
    await eventually(() => server.clients.length === letters.length);
    for (const { socket } of server.clients) socket.resume();

    for (const letter of letters) {
      const whole = createRequestEncoder()({ params: large(letter), keepAlive: true, hasBody: false });
      await eventually(() => server.clients.some(({ bytes }) => bytes.equals(whole)), 3_000);
    }
    for (const connection of connections) connection.close(new Error('the test is over'));
    await answers;
  });
});
