import { integer, text } from 'drizzle-orm/sqlite-core';

/** A point in time: milliseconds since the epoch, UTC. */
export const timestamp = (name: string) => integer(name);

/** A UUIDv7 as text. */
export const id = (name = 'id') => text(name);
