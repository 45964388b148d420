import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.ts';
import { connectCentrifugo, publicationsOf } from './raw-client.ts';
import { openSockets } from './support.ts';

test.skipIf(Bun.which('php') === null)('a PHP script publishes through the HTTP API', async () => {
  await using house = await openSockets({ pusher: { id: 'app', key: 'key', secret: 'secret' } });
  const client = await connectCentrifugo(house.websocketUrl);
  await client.ask({ subscribe: { channel: 'public.orders' } });
  const script = join(import.meta.dirname, 'pusher-publish.php');
  const php = Bun.spawn([
    'php',
    script,
    house.url,
    'app',
    'key',
    'secret',
    'orders',
    'shipped',
    '{"id":7,"name":"Ünï"}',
  ]);
  expect(await new Response(php.stdout).text()).toBe('{}');
  await eventually(() => publicationsOf(client, 'public.orders').length === 1);
  expect(publicationsOf(client, 'public.orders')).toMatchObject([
    { data: { id: 7, name: 'Ünï' }, tags: { event: 'shipped' } },
  ]);
});
