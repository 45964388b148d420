import { memoryRateLimiter } from '../../src/drivers/memory-rate-limiter.ts';
import { systemClock } from '../../src/ports/clock.ts';
import { createApp } from '../../src/web/app.ts';
import { createCors } from '../../src/web/cors.ts';
import { createGate, type Gate, type GateOptions } from '../../src/web/gate.ts';

export type ModuleGateOptions = Pick<GateOptions, 'identify'> &
  Partial<Pick<GateOptions, 'recall' | 'limiter' | 'policies' | 'clientEnd' | 'cors'>> & {
    /** Hears of what nobody should ever see: bugs that were answered with 500. */
    readonly onFault: (error: unknown) => void;
  };

/** The real gate before the routes of one module; calls come from this machine and as often as they like, unless said. */
export function moduleGate(routes: Parameters<typeof createApp>[0], { onFault, ...options }: ModuleGateOptions): Gate {
  return createGate({
    app: createApp(routes, onFault),
    fallbacks: [],
    clientEnd: () => ({ address: '127.0.0.1', isSecure: false }),
    limiter: memoryRateLimiter(systemClock),
    policies: { default: null, auth: null },
    cors: createCors([]),
    bodyMaxBytes: 1024 * 1024,
    isProduction: false,
    onAnswer: () => undefined,
    onUnexpected: onFault,
    isDraining: () => false,
    ...options,
  });
}
