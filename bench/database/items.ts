import { eq, sql } from 'drizzle-orm';
import { index, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { id, timestamp } from '../../src/db/schema/columns.ts';
import { preparedQuery } from '../../src/ports/prepared.ts';

/** What is read and written here: a row as an application would have it. It exists in the benchmarks only. */
export const items = sqliteTable(
  'bench_items',
  {
    id: id().primaryKey(),
    ownerId: id('owner_id').notNull(),
    title: text('title').notNull(),
    body: text('body').notNull(),
    createdAt: timestamp('created_at').notNull(),
  },
  (table) => [index('bench_items_owner').on(table.ownerId)],
);

export const ITEMS_SCHEMA = [
  `CREATE TABLE bench_items (id text PRIMARY KEY NOT NULL, owner_id text NOT NULL, title text NOT NULL, body text NOT NULL,
    created_at integer NOT NULL)`,
  'CREATE INDEX bench_items_owner ON bench_items (owner_id)',
];

/** Rows that are there before anything is measured. */
export const SEEDED = 10_000;

export type Item = typeof items.$inferSelect;

/** The row of that number; the same in every process. */
export function itemOf(number: number): Item {
  return {
    id: `item-${String(number).padStart(9, '0')}`,
    ownerId: `owner-${number % 100}`,
    title: `The title of item ${number}`,
    body: `${number} and what else there is to say of it. `.repeat(4),
    createdAt: 1_700_000_000_000 + number,
  };
}

/** All seeded rows, in portions that fit into one statement. */
export function* seedPortions(): Generator<Item[]> {
  const portion = 500;
  for (let first = 0; first < SEEDED; first += portion) {
    yield Array.from({ length: portion }, (_, offset) => itemOf(first + offset));
  }
}

/** The row of an id. */
export const byId = preparedQuery((queries) =>
  queries
    .select()
    .from(items)
    .where(eq(items.id, sql.placeholder('id')))
    .limit(1)
    .prepare(),
);

/** One more row. */
export const insertion = preparedQuery((queries) =>
  queries
    .insert(items)
    .values({
      id: sql.placeholder('id'),
      ownerId: sql.placeholder('ownerId'),
      title: sql.placeholder('title'),
      body: sql.placeholder('body'),
      createdAt: sql.placeholder('createdAt'),
    })
    .prepare(),
);
