import { expect, test } from 'bun:test';
import { createForward } from '../../../src/modules/proxy/forward.ts';
import { systemClock } from '../../../src/ports/clock.ts';

const facts = { address: '127.0.0.1', isSecure: false, host: 'localhost', requestId: 'test' };

/** Forwards one request to an upstream that answers with `body`. */
function forwardTo(body: ReadableStream<Uint8Array>, silenceMs: number): Promise<Response> {
  const forward = createForward(
    { prefix: '', origins: ['http://upstream'] },
    {
      send: async () => new Response(body),
      clock: systemClock,
      instance: 'test',
      ownCookie: 'own',
      headMs: 1_000,
      silenceMs,
    },
  );
  return forward(new Request('http://localhost/'), facts);
}

test('an answer that falls silent breaks off, and the upstream is let go', async () => {
  const cancelled = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(3)),
    cancel: () => cancelled.resolve(),
  });
  const reader = (await forwardTo(body, 20)).body?.getReader();
  expect((await reader?.read())?.value?.byteLength).toBe(3);
  const end = await reader?.read().catch((error: Error) => error.message);
  expect(end).toBe('the source fell silent');
  await cancelled.promise;
});

test('an answer whose reader takes its time is not taken for silent', async () => {
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ === 4) controller.close();
      else controller.enqueue(new Uint8Array(3));
    },
  });
  const reader = (await forwardTo(body, 20)).body?.getReader();
  let bytes = 0;
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    bytes += part.value.byteLength;
    await Bun.sleep(30);
  }
  expect(bytes).toBe(12);
});
