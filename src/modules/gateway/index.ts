import type { ProblemTable } from '../../kernel/errors.ts';
import type { MemoryTier } from '../../kernel/memory-tier.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Module } from '../../web/module.ts';
import type { OpenFile } from '../../web/static-file.ts';
import { createLandingPage } from './landing.ts';
import { createProblemPages } from './problem-pages.ts';
import { gatewayRoutes } from './routes.ts';
import { createSetupPage } from './setup.ts';
import { createStaticFiles } from './static-files.ts';

export interface GatewayOptions {
  /** PUBLIC_DIR. */
  readonly publicDir: string;
  readonly openFile: OpenFile;
  readonly clock: Clock;
  /** Shared with whoever else keeps in memory what may be asked for again. */
  readonly memory: MemoryTier;
  /** Every problem that any room may answer with. */
  readonly problems: readonly ProblemTable[];
}

/** Problem documentation, set-up page, and the files of PUBLIC_DIR for paths that are no routes. */
export function createGateway({ publicDir, openFile, clock, memory, problems }: GatewayOptions): Module {
  return {
    name: 'gateway',
    routes: gatewayRoutes({ setupPage: createSetupPage(), problemPages: createProblemPages(problems) }),
    fallbacks: [createStaticFiles({ root: publicDir, openFile, clock, memory })],
  };
}

/**
 * The page at `/` for when nobody else answers there. A module of its own, because others (PHP mounted at `/`) stand
 * between it and the public files: it comes last.
 *
 * @param version of the running server.
 */
export function createLanding(version: string): Module {
  return { name: 'landing', fallbacks: [createLandingPage(version)] };
}
