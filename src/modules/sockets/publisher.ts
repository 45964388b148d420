import type { Bus, Draft, Published } from '../../ports/bus.ts';
import type { SocketLimits } from './limits.ts';
import { socketProblems } from './problems.ts';
import { isTopic } from './topics.ts';

/** A message on its way in. */
export interface Message extends Omit<Draft, 'data'> {
  readonly topic: string;
  /** Any JSON value. */
  readonly data: unknown;
  readonly idempotencyKey?: string;
}

/** The one door through which messages come, whoever sends them. Rights were asked for before. */
export interface Publisher {
  /** Throws `sockets/invalid-topic`, `sockets/message-too-large`. */
  publish(message: Message): Promise<Published>;
  /** As {@link publish}, for data that is JSON text already. */
  publishText(topic: string, draft: Draft, idempotencyKey?: string): Promise<Published>;
}

/** @param onPublished hears of every message that was taken. */
export function createPublisher(bus: Bus, limits: SocketLimits, onPublished: () => void): Publisher {
  const publishText: Publisher['publishText'] = async (topic, draft, idempotencyKey) => {
    if (!isTopic(topic)) throw socketProblems.create('invalid-topic');
    if (draft.data.length > limits.maxMessageBytes || Buffer.byteLength(draft.data) > limits.maxMessageBytes) {
      throw socketProblems.create('message-too-large');
    }
    const published = await bus.publish(topic, draft, idempotencyKey);
    if (!published.isRepeat) onPublished();
    return published;
  };
  return {
    publishText,
    publish: ({ topic, data, idempotencyKey, ...rest }) =>
      publishText(topic, { ...rest, data: JSON.stringify(data) ?? 'null' }, idempotencyKey),
  };
}
