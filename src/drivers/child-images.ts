import { join } from 'node:path';
import type { ImageOutcome, Images, RenderedImage } from '../ports/images.ts';
import type { Logger } from '../ports/logger.ts';
import { bunChildPool } from './bun-child-pool.ts';
import type { ImageJob, ImageJobResult } from './bun-image.ts';

const ENTRY = join(import.meta.dirname, '../workers/images.ts');
/** Longer than the largest picture that is accepted takes on a slow machine. */
const DEADLINE_MS = 20_000;
/** Twice what the largest picture that is accepted was seen to take. */
const MAX_MEMORY_BYTES = 768 * 1024 * 1024;

/**
 * Pictures made by up to two child processes, so that a decoder that hangs, swells or dies takes nothing else along. They are
 * started when there is work and end when there is none.
 */
export function childImages({ log }: { readonly log: Logger }): Images & { stop(): Promise<void> } {
  const pool = bunChildPool<ImageJob, ImageJobResult>({
    name: 'images',
    entry: ENTRY,
    size: 2,
    maxWaiting: 64,
    maxMemoryBytes: MAX_MEMORY_BYTES,
    log,
  });
  const run = async (job: ImageJob): Promise<ImageJobResult> => {
    const outcome = await pool.run(job, { deadlineMs: DEADLINE_MS });
    return outcome.status === 'done' ? outcome.result : { status: 'too-costly' };
  };
  return {
    render: (source, recipe) => run({ kind: 'render', source, recipe }) as Promise<ImageOutcome<RenderedImage>>,
    thumbhash: (source) => run({ kind: 'thumbhash', source }) as Promise<ImageOutcome<string>>,
    stop: () => pool.stop(),
  };
}
