import type { Queries } from './database.ts';

/**
 * A query that is built once for each handle it runs on: drizzle takes several times as long to build a statement as SQLite takes
 * to run it. Parameters are `sql.placeholder('name')`.
 */
export function preparedQuery<Prepared>(build: (queries: Queries) => Prepared): (queries: Queries) => Prepared {
  const built = new WeakMap<Queries, Prepared>();
  return (queries) => {
    const kept = built.get(queries);
    if (kept) return kept;
    const fresh = build(queries);
    built.set(queries, fresh);
    return fresh;
  };
}
