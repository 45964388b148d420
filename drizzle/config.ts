import { defineConfig } from 'drizzle-kit';

/** `bun run db:generate` compares `src/db/schema` with the last snapshot here and writes the next migration. */
export default defineConfig({
  dialect: 'sqlite',
  schema: './src/db/schema/*.ts',
  out: './drizzle',
});
