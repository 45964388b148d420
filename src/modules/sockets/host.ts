import type { Bus } from '../../ports/bus.ts';
import type { Clock } from '../../ports/clock.ts';
import type { TopicAccess } from './access.ts';
import type { Hub } from './hub.ts';
import type { Authenticate } from './identity.ts';
import type { SocketLimits } from './limits.ts';
import type { LocalAudience } from './local-audience.ts';
import type { LocalPresence } from './local-presence.ts';
import type { Publisher } from './publisher.ts';
import type { Registry } from './registry.ts';
import type { RpcHandler } from './rpc.ts';
import type { TopicTokens } from './topic-tokens.ts';

/** What every connection works with. */
export interface Host {
  readonly version: string;
  readonly clock: Clock;
  readonly limits: SocketLimits;
  readonly bus: Bus;
  readonly hub: Hub;
  /** Of Pusher's channels, over all processes. */
  readonly audience: LocalAudience;
  readonly registry: Registry;
  readonly access: TopicAccess;
  readonly presence: LocalPresence;
  readonly publisher: Publisher;
  readonly authenticate: Authenticate;
  readonly topicTokens: TopicTokens;
  readonly rpc: RpcHandler;
  onClosed(wire: string, code: number): void;
  /** Hears of bugs and of parts that failed; never of a client's fault. */
  onFault(error: unknown, message: string): void;
}
