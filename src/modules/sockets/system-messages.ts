import type { EventBus } from '../../kernel/events.ts';
import type { Signal } from '../../ports/bus.ts';
import type { Publisher } from './publisher.ts';
import { userTopic } from './topics.ts';

export interface SystemMessageOptions {
  readonly events: EventBus;
  readonly publisher: Publisher;
  readonly signal: (signal: Signal) => Promise<void>;
  readonly onFault: (error: unknown) => void;
}

/** What the house tells its users by itself. @returns the function that ends it. */
export function tellSystemMessages({ events, publisher, signal, onFault }: SystemMessageOptions): () => void {
  const tell = (userId: string, name: string, data: object) =>
    publisher.publish({ topic: userTopic(userId), name, data }).then(() => undefined, onFault);
  const ends = [
    events.on('files/created', ({ fileId, ownerId }) => tell(ownerId, 'files/created', { id: fileId })),
    events.on('files/changed', ({ fileId, ownerId }) => tell(ownerId, 'files/changed', { id: fileId })),
    events.on('files/deleted', ({ fileId, ownerId }) => tell(ownerId, 'files/deleted', { id: fileId })),
    events.on('auth/sessions-revoked', ({ userId, sessionId }) =>
      signal({ kind: 'revoke', userId, sessionId }).catch(onFault),
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}
