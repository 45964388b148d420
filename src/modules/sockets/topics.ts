const MAX_TOPIC_BYTES = 255;

/** Whether a text may name a topic: 1 to 255 bytes of UTF-8, no control character, no half of a surrogate pair. */
export function isTopic(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text.length > 0 &&
    Buffer.byteLength(text) <= MAX_TOPIC_BYTES &&
    text.isWellFormed() &&
    !/\p{Cc}/u.test(text)
  );
}

const USER_PREFIX = 'user.';

/** The topic that every connection of a user hears. */
export function userTopic(userId: string): string {
  return USER_PREFIX + userId;
}

/** Whose topic it is; null when it belongs to nobody. */
export function ownerOf(topic: string): string | null {
  return topic.startsWith(USER_PREFIX) ? topic.slice(USER_PREFIX.length) : null;
}
