import { join } from 'node:path';
import { CLIENT_CORE, pinned } from '../harness/tools.ts';
import type { WireName } from './wires.ts';

export interface SubscribersOptions {
  readonly wire: WireName;
  /** They are spread over these. */
  readonly origins: readonly string[];
  readonly count: number;
  /** One for each, to sign in with; without them nobody is signed in. */
  readonly tokens: readonly string[] | null;
  readonly publishTo: {
    readonly origins: readonly string[];
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
}

/** What is published: as fast as the window allows, or one message after the other with a pause. */
export interface Order {
  /** Ends after so many, if the time is not over before. */
  readonly messages?: number;
  readonly seconds: number;
  /** Messages that are on their way to subscribers at any time. */
  readonly window: number;
  readonly intervalMs: number;
}

export interface Sample {
  readonly messages: number;
  readonly deliveries: number;
  /** Deliveries that did not come. */
  readonly missing: number;
  /** From the first message sent to the last one received. */
  readonly seconds: number;
  /** From sending a message to a subscriber's receiving it. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Subscribers in a process of their own, on the client's core. */
export interface Subscribers {
  carryOut(order: Order): Promise<Sample>;
  close(): Promise<void>;
}

const PROCESS = join(import.meta.dir, 'subscribers-process.ts');
const TIMEOUT_MS = 120_000;

/** Opens all of them; resolves when every subscription stands. */
export async function openSubscribers(options: SubscribersOptions): Promise<Subscribers> {
  const child = Bun.spawn(pinned(CLIENT_CORE, ['bun', PROCESS]), {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    timeout: 10 * TIMEOUT_MS,
  });
  const lines = readLines(child.stdout);
  const nextLine = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the subscribers ended');
    return value;
  };
  const say = async (value: object) => {
    child.stdin.write(`${JSON.stringify(value)}\n`);
    await child.stdin.flush();
  };
  await say(options);
  await nextLine();
  return {
    async carryOut(order) {
      await say(order);
      const sample = JSON.parse(await nextLine()) as Sample;
      // Being faster by losing some is no speed.
      if (sample.missing !== 0) throw new Error(`${options.wire}: ${sample.missing} deliveries did not come`);
      return sample;
    },
    async close() {
      child.stdin.end();
      child.kill();
      await child.exited;
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
