import type { BackupEvent, EventBus } from '../../kernel/events.ts';
import type { Signal } from '../../ports/bus.ts';
import type { Publisher } from './publisher.ts';
import { userTopic } from './topics.ts';

export interface SystemMessageOptions {
  readonly events: EventBus;
  readonly publisher: Publisher;
  readonly signal: (signal: Signal) => Promise<void>;
  readonly onFault: (error: unknown) => void;
}

/** For admins. */
const SYSTEM_BACKUPS = 'system.backups';
const SYSTEM_ALERTS = 'system.alerts';

/** What the house tells its users by itself. @returns the function that ends it. */
export function tellSystemMessages({ events, publisher, signal, onFault }: SystemMessageOptions): () => void {
  const publish = (topic: string, name: string, data: object) =>
    publisher.publish({ topic, name, data }).then(() => undefined, onFault);
  const tell = (userId: string, name: string, data: object) => publish(userTopic(userId), name, data);
  const tellOfBackup =
    (name: string) =>
    async ({ backupId: id, userId, ...data }: BackupEvent) => {
      if (userId !== null) await tell(userId, name, { id, ...data });
      if (data.scope === 'system') await publish(SYSTEM_BACKUPS, name, { id, ...data });
    };
  const ends = [
    events.on('files/created', ({ fileId, ownerId }) => tell(ownerId, 'files/created', { id: fileId })),
    events.on('files/changed', ({ fileId, ownerId }) => tell(ownerId, 'files/changed', { id: fileId })),
    events.on('files/deleted', ({ fileId, ownerId }) => tell(ownerId, 'files/deleted', { id: fileId })),
    events.on('backups/progress', tellOfBackup('backups/progress')),
    events.on('backups/finished', tellOfBackup('backups/finished')),
    events.on('alerts/raised', (alert) => publish(SYSTEM_ALERTS, 'alerts/raised', alert)),
    events.on('auth/sessions-revoked', ({ userId, sessionId }) =>
      signal({ kind: 'revoke', userId, sessionId }).catch(onFault),
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}
