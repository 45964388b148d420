import type { Signal } from '../../ports/bus.ts';
import type { Registry } from './registry.ts';

/** Carries out on this process' connections what was told to all processes. */
export function obeySignal(registry: Registry, signal: Signal): void {
  for (const connection of registry.ofUser(signal.userId)) {
    switch (signal.kind) {
      case 'revoke':
        if (signal.sessionId === null || signal.sessionId === connection.sessionId) {
          connection.end(connection.verdicts.revoked);
        }
        break;
      case 'disconnect':
        connection.end(connection.verdicts.revoked);
        break;
      case 'unsubscribe':
        connection.loseTopic(signal.topic);
    }
  }
}
