import { randomToken } from '../kernel/ids.ts';
import { serverProblems } from '../kernel/problems.ts';
import { toProblemResponse } from './problems.ts';

/** The time between listening and being ready: migrations run, rooms start. */
export interface Opening {
  readonly isOver: boolean;
  /** Keeps a request waiting, but no probe. @returns why it is refused, null when the server is ready for it. Never rejects. */
  wait(request: Request): Promise<Response | null>;
  /** Lets in who waits. */
  end(): void;
}

export interface OpeningLimits {
  readonly waitMs: number;
  readonly maxWaiting: number;
  /** What comes of a body meanwhile stays in memory: larger ones, and those without a length, are refused at once. */
  readonly maxBodyBytes: number;
}

const LIMITS: OpeningLimits = { waitMs: 5_000, maxWaiting: 1_000, maxBodyBytes: 64 * 1024 };

/**
 * Lets the server listen before it is ready: that it lives can be seen from the beginning, however long a migration takes, and who
 * comes early waits a moment instead of being turned away. Past the limits, and to `/health/ready`, the answer is 503 with
 * `Retry-After`.
 */
export function createOpening({ waitMs, maxWaiting, maxBodyBytes }: OpeningLimits = LIMITS): Opening {
  const ended = Promise.withResolvers<void>();
  let isOver = false;
  let waiting = 0;

  const isSmall = ({ headers }: Request) =>
    !headers.has('transfer-encoding') && Number(headers.get('content-length') ?? 0) <= maxBodyBytes;

  return {
    get isOver() {
      return isOver;
    },
    async wait(request) {
      const path = pathOf(request);
      // Probes ask whether it is ready now, and have timeouts of their own.
      if (path === '/health/ready' || waiting >= maxWaiting || !isSmall(request)) return refusal(path);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMs);
      });
      waiting++;
      await Promise.race([ended.promise, late]);
      waiting--;
      clearTimeout(timer);
      return isOver ? null : refusal(path);
    },
    end() {
      isOver = true;
      ended.resolve();
    },
  };
}

function pathOf({ url }: Request): string {
  return URL.parse(url, 'http://localhost')?.pathname ?? '/';
}

function refusal(path: string): Response {
  const requestId = randomToken(12);
  const response = toProblemResponse(serverProblems.create('starting'), { requestId, path });
  response.headers.set('x-request-id', requestId);
  return response;
}
