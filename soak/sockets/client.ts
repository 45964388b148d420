import type { Chain, Ledger } from './ledger.ts';

export interface ClientOptions {
  readonly ledger: Ledger;
  /** Where to connect this time. */
  readonly pickUrl: () => string;
  readonly topics: readonly string[];
  /** Signs in; the server then adds the user's own topic. */
  readonly account: { readonly token: string; readonly topic: string } | null;
  /** Hears of closes that no well-behaved client should see. */
  readonly onRefused: (code: number, reason: string) => void;
}

interface SubscribeResult {
  readonly epoch: string;
  readonly offset: number;
  readonly recovered?: boolean;
  readonly was_recovering?: boolean;
  readonly publications?: readonly Publication[];
}
interface Publication {
  readonly offset: number;
  readonly data: { readonly id: string };
}
interface Reply {
  readonly id?: number;
  readonly connect?: { readonly subs?: Readonly<Record<string, SubscribeResult>> };
  readonly subscribe?: SubscribeResult;
  readonly error?: { readonly code: number };
  readonly push?: {
    readonly channel: string;
    readonly pub?: Publication;
    readonly unsubscribe?: { readonly code: number };
  };
}

const CONNECT_ID = 1;
const RETRY_MS = { least: 100, most: 1_500 };
const RESUBSCRIBE_MS = 150;

/** A client of the Centrifugo protocol in the fewest lines: it comes back always, and goes on from where it was. */
export class SoakClient {
  readonly chains = new Map<string, Chain>();
  readonly #options: ClientOptions;
  readonly #subscribed = new Set<string>();
  readonly #asked = new Map<number, string>();
  #socket: WebSocket | null = null;
  #lastId = CONNECT_ID;
  #isDone = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#connect();
  }

  get isWhole(): boolean {
    const { ledger } = this.#options;
    const isSubscribed = this.#subscribed.size === this.#topicCount && this.chains.size === this.#topicCount;
    return isSubscribed && [...this.chains.values()].every((chain) => ledger.isComplete(chain));
  }

  /** Vanishes without a word, and comes back by itself. */
  flap(): void {
    (this.#socket as (WebSocket & { terminate(): void }) | null)?.terminate();
  }

  stop(): void {
    this.#isDone = true;
    this.flap();
  }

  get #topicCount(): number {
    return this.#options.topics.length + (this.#options.account ? 1 : 0);
  }

  #connect(): void {
    const { pickUrl, account, topics, onRefused } = this.#options;
    const socket = new WebSocket(pickUrl());
    this.#socket = socket;
    this.#lastId = CONNECT_ID;
    this.#asked.clear();
    this.#subscribed.clear();
    socket.onopen = () => {
      const subs = account ? { [account.topic]: this.#position(account.topic) } : {};
      const connect = account ? { token: account.token, subs } : {};
      socket.send([{ id: CONNECT_ID, connect }, ...topics.map((topic) => this.#ask(topic))].map(toText).join('\n'));
    };
    socket.onmessage = ({ data }) => {
      for (const line of String(data).split('\n')) this.#hear(socket, line);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#isDone) return;
      if (code >= 3500) onRefused(code, reason);
      setTimeout(() => this.#connect(), RETRY_MS.least + Math.random() * (RETRY_MS.most - RETRY_MS.least));
    };
    // A close always follows.
    socket.onerror = () => undefined;
  }

  #position(topic: string): object {
    const chain = this.chains.get(topic);
    return chain ? { recover: true, epoch: chain.epoch, offset: chain.offset } : {};
  }

  #ask(topic: string): object {
    const id = ++this.#lastId;
    this.#asked.set(id, topic);
    return { id, subscribe: { channel: topic, ...this.#position(topic) } };
  }

  #again(socket: WebSocket, topic: string): void {
    this.#subscribed.delete(topic);
    setTimeout(() => {
      if (socket === this.#socket && socket.readyState === WebSocket.OPEN) socket.send(toText(this.#ask(topic)));
    }, RESUBSCRIBE_MS * Math.random());
  }

  #hear(socket: WebSocket, line: string): void {
    const { id, connect, subscribe, error, push } = JSON.parse(line) as Reply;
    if (push) {
      if (push.pub) this.#take(push.channel, push.pub);
      if (push.unsubscribe) this.#again(socket, push.channel);
      return;
    }
    if (id === undefined) {
      socket.send('{}');
      return;
    }
    const topic = this.#asked.get(id);
    this.#asked.delete(id);
    if (error) {
      // It comes back as after any other trouble.
      if (topic === undefined) this.flap();
      else this.#again(socket, topic);
    } else if (subscribe && topic !== undefined) {
      this.#begin(topic, subscribe);
    } else if (connect) {
      for (const [name, result] of Object.entries(connect.subs ?? {})) this.#begin(name, result);
    }
  }

  #begin(
    topic: string,
    { epoch, offset, recovered, was_recovering: wasRecovering, publications }: SubscribeResult,
  ): void {
    const { ledger } = this.#options;
    const before = this.chains.get(topic) ?? null;
    this.#subscribed.add(topic);
    if (before && wasRecovering && recovered) {
      for (const publication of publications ?? []) ledger.give(before, publication.offset, publication.data.id);
      ledger.confirm(before, { epoch, offset });
    } else {
      this.chains.set(topic, ledger.begin(topic, { epoch, offset }, before));
    }
  }

  #take(topic: string, { offset, data }: Publication): void {
    const chain = this.chains.get(topic);
    if (chain) this.#options.ledger.give(chain, offset, data.id);
  }
}

function toText(command: object): string {
  return JSON.stringify(command);
}
