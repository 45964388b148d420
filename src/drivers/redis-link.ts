import { RedisClient } from 'bun';
import { randomToken } from '../kernel/ids.ts';

/**
 * A connection for commands and one for deliveries, as one thing that is up or down. `Bun.RedisClient` comes back by itself but
 * does not subscribe again and says nothing: it would be deaf. So nothing is left to it: when either connection is lost, or a
 * heartbeat sent through Redis does not come back, both are replaced and everything is subscribed to anew.
 */
export interface RedisLink {
  readonly isUp: boolean;
  /** Resolves when the first attempt to connect has ended, well or not. */
  readonly opened: Promise<void>;
  send(command: string, args: string[]): Promise<unknown>;
  /** `null` when there is nothing under the key. */
  getBytes(key: string): Promise<Uint8Array | null>;
  setBytes(key: string, value: Uint8Array, ttlSeconds: number): Promise<void>;
  /** Runs a script by its hash, loading it when the server does not know it. */
  run(script: string, keys: string[], args: string[]): Promise<unknown>;
  /** Listens to a channel until it is told not to, across connections. Resolves when the server has confirmed. */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): void;
  close(): void;
}

export interface RedisLinkOptions {
  readonly url: string;
  readonly onMessage: (channel: string, message: string) => void;
  /** Does what is to be done over a new connection before it counts as up; asked until there is nothing left (`null`). */
  readonly prepare?: (run: RedisLink['run']) => Promise<void> | null;
  /** Called when both connections are there and every channel is subscribed to, and when they are gone. */
  readonly onChange: (isUp: boolean) => void;
  readonly onFault: (error: unknown) => void;
}

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 2_000;
const BEAT_MS = 2_000;
/** Heartbeats that may be missing. They are counted, not timed: after a stall of this process the answers wait to be read. */
const MAX_MISSING_BEATS = 3;
const OPTIONS = { autoReconnect: false, enableOfflineQueue: false, connectionTimeout: 5_000 } as const;

export function createRedisLink({ url, onMessage, prepare, onChange, onFault }: RedisLinkOptions): RedisLink {
  const channels = new Set<string>();
  const beatChannel = `bunkhouse:beat:${randomToken(9)}`;
  const hashes = new Map<string, string>();
  let commands: RedisClient | null = null;
  let deliveries: RedisClient | null = null;
  let isUp = false;
  let isClosed = false;
  let missingBeats = 0;
  let retryMs = RETRY_MIN_MS;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const hear = (message: string, channel: string) => {
    if (channel === beatChannel) missingBeats = 0;
    else if (channels.has(channel)) onMessage(channel, message);
  };

  const scriptsOver =
    (over: RedisLink['send']): RedisLink['run'] =>
    async (script, keys, args) => {
      const rest = [String(keys.length), ...keys, ...args];
      const hash = hashes.get(script) ?? new Bun.CryptoHasher('sha1').update(script).digest('hex');
      hashes.set(script, hash);
      try {
        return await over('EVALSHA', [hash, ...rest]);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.includes('NOSCRIPT')) throw error;
        return over('EVAL', [script, ...rest]);
      }
    };

  /** While something is waited for, more may come up: the pair is up at the moment at which nothing is left. */
  const makeReady = async (one: RedisClient, two: RedisClient) => {
    const run = scriptsOver((command, args) => one.send(command, args));
    const subscribed = new Set<string>();
    const subscribeTo = async (missing: string[]) => {
      await two.subscribe(missing, hear);
      for (const channel of missing) subscribed.add(channel);
    };
    const findWork = () => {
      const missing = [beatChannel, ...channels].filter((channel) => !subscribed.has(channel));
      return missing.length > 0 ? subscribeTo(missing) : (prepare?.(run) ?? null);
    };
    for (let work = findWork(); work; work = findWork()) await work;
    if (commands !== one) return;
    missingBeats = 0;
    retryMs = RETRY_MIN_MS;
    isUp = true;
    onChange(true);
  };

  const open = async () => {
    const [one, two] = [new RedisClient(url, OPTIONS), new RedisClient(url, OPTIONS)];
    const lose = () => drop(one);
    one.onclose = lose;
    two.onclose = lose;
    commands = one;
    deliveries = two;
    try {
      await Promise.all([one.connect(), two.connect()]);
      await makeReady(one, two);
    } catch (error) {
      if (!isClosed) onFault(error);
      drop(one);
    }
  };

  /** Lets go of a pair, once, and plans the next. */
  const drop = (pair: RedisClient) => {
    if (commands !== pair) return;
    for (const client of [commands, deliveries]) {
      if (!client) continue;
      client.onclose = () => undefined;
      client.close();
    }
    commands = null;
    deliveries = null;
    if (isUp) {
      isUp = false;
      onChange(false);
    }
    if (isClosed) return;
    retry = setTimeout(open, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  };

  const beat = setInterval(() => {
    const pair = commands;
    if (!isUp || !pair) return;
    if (++missingBeats > MAX_MISSING_BEATS) drop(pair);
    else pair.send('PUBLISH', [beatChannel, '']).catch(() => drop(pair));
  }, BEAT_MS);

  const connected = (): RedisClient => {
    if (!isUp || !commands) throw new Error('Redis cannot be reached');
    return commands;
  };
  const send: RedisLink['send'] = async (command, args) => connected().send(command, args);

  const opened = open();
  return {
    opened,
    get isUp() {
      return isUp;
    },
    send,
    getBytes: async (key) => connected().getBuffer(key),
    async setBytes(key, value, ttlSeconds) {
      await connected().set(key, value, 'EX', ttlSeconds);
    },
    run: scriptsOver(send),
    async subscribe(channel) {
      channels.add(channel);
      if (isUp) await deliveries?.subscribe(channel, hear);
    },
    unsubscribe(channel) {
      channels.delete(channel);
      const pair = commands;
      if (isUp && pair) deliveries?.unsubscribe(channel).catch(() => drop(pair));
    },
    close() {
      isClosed = true;
      clearTimeout(retry);
      clearInterval(beat);
      if (commands) drop(commands);
    },
  };
}
