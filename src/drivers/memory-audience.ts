import type { AudienceStore } from '../ports/bus.ts';

/** The audience of one process. */
export function memoryAudience(): AudienceStore {
  const counts = new Map<string, number>();
  return {
    async set(changes) {
      for (const [name, count] of changes) {
        if (count > 0) counts.set(name, count);
        else counts.delete(name);
      }
    },
    list: async () => new Map(counts),
    count: async (name) => counts.get(name) ?? 0,
  };
}
