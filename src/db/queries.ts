import type { Client } from '@libsql/core/api';
import * as driver from 'drizzle-orm/libsql/driver-core';
import type { Queries } from '../ports/database.ts';

/**
 * Drizzle on a libSQL-shaped client. The core of drizzle's driver is taken alone, because its usual entry loads every client
 * there is, the native one among them, whichever is used; its types leave `construct` out.
 */
export const toQueries = (driver as unknown as { construct(client: Client): Queries }).construct;
