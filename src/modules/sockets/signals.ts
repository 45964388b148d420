import type { Signal } from '../../ports/bus.ts';
import type { Registry } from './registry.ts';

/** Carries out on this process' connections what was told to all processes. */
export function obeySignal(registry: Registry, signal: Signal): void {
  if (signal.kind === 'purge') return;
  if (signal.kind === 'vouch') {
    registry.find(signal.connectionId)?.vouch(signal.userId, signal.sessionId);
    return;
  }
  for (const connection of registry.ofUser(signal.userId)) {
    switch (signal.kind) {
      case 'revoke':
        if (connection.restsOn(signal.userId, signal.sessionId)) connection.end(connection.verdicts.revoked);
        break;
      case 'disconnect':
        connection.end(connection.verdicts.revoked);
        break;
      case 'unsubscribe':
        connection.loseTopic(signal.topic);
    }
  }
}
