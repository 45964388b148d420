import { type CompletedPart, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { BuildMiddleware, MiddlewareStack } from '@smithy/types';
import { AppError } from '../kernel/errors.ts';
import { storageProblems } from '../kernel/problems.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { isRefusal, S3Fault } from './s3-faults.ts';
import { MAX_PARTS } from './s3-parts.ts';
import { createCutter, type Piece } from './s3-pieces.ts';

/** Parts on their way at once, of one stream; while they are, one more is being gathered. */
const IN_FLIGHT = 2;

/** Sends bytes: whole objects, single parts, and streams as parts. */
export interface PartSender {
  putWhole(key: string, bytes: Uint8Array, options?: PutPieceOptions): Promise<void>;
  putPart(target: PartTarget, number: number, bytes: Uint8Array, options?: PutPieceOptions): Promise<CompletedPart>;
  /**
   * Sends a stream as whole parts and gives back what is left at its end, which may be a whole part too. Never rejects: a failure
   * of the stream, the store or the signal is in the result.
   */
  send(body: AsyncIterable<Uint8Array>, options: SendOptions): Promise<SentParts | FailedSending>;
}

export interface PutPieceOptions {
  readonly sha256?: string;
  readonly signal?: AbortSignal;
}

/** An upload in parts. */
export interface PartTarget {
  readonly key: string;
  readonly uploadId: string;
}

export interface SendOptions {
  /** Number of the first part. */
  readonly firstNumber: number;
  readonly signal?: AbortSignal | undefined;
  /** Called when the first whole part is there. */
  open(): Promise<PartTarget>;
  /** Told, one call after the other, that the store has all parts up to a number. */
  onWhole?(count: number): Promise<void>;
}

export interface SentParts {
  /** Number of the last whole part; one less than the first when there is none. */
  readonly count: number;
  readonly parts: readonly CompletedPart[];
  /** What is left; to be released. */
  readonly rest: Piece;
}

export interface FailedSending {
  readonly error: unknown;
  /** Whether a request may still take effect, so that one has to look again later. */
  readonly isOpen: boolean;
}

export function createPartSender(bucket: S3Bucket): PartSender {
  const { client, name: Bucket } = bucket;
  const cut = createCutter();
  const withSignal = (signal: AbortSignal | undefined) => (signal ? { abortSignal: signal } : {});

  const putPart: PartSender['putPart'] = async ({ key, uploadId: UploadId }, PartNumber, Body, options = {}) => {
    const command = new UploadPartCommand({ Bucket, Key: bucket.toName(key), UploadId, PartNumber, Body });
    signPayload(command.middlewareStack, options.sha256);
    const { ETag } = await bucket.ask(client.send(command, withSignal(options.signal)));
    return { PartNumber, ...(ETag === undefined ? {} : { ETag }) };
  };

  return {
    putPart,
    async putWhole(key, Body, options = {}) {
      const command = new PutObjectCommand({ Bucket, Key: bucket.toName(key), Body });
      signPayload(command.middlewareStack, options.sha256);
      await bucket.ask(client.send(command, withSignal(options.signal)));
    },

    async send(body, { firstNumber, signal, open, onWhole }) {
      const stop = new AbortController();
      const stopAll = () => stop.abort(signal?.reason);
      signal?.addEventListener('abort', stopAll, { once: true });
      if (signal?.aborted) stopAll();

      const running = new Set<Promise<void>>();
      const done = new Map<number, CompletedPart>();
      let target: PartTarget | null = null;
      let started = firstNumber - 1;
      let confirmed = started;
      let told = started;
      let telling: Promise<void> | null = null;
      let isOpen = false;

      /** Tells of the parts that the store has, without a gap. */
      const tell = async (): Promise<void> => {
        while (done.has(confirmed + 1)) confirmed++;
        if (!onWhole || telling) return telling ?? undefined;
        telling = (async () => {
          while (told < confirmed) {
            const count = confirmed;
            await onWhole(count);
            told = count;
          }
        })().finally(() => {
          telling = null;
        });
        return telling;
      };
      const startPart = async (to: PartTarget, piece: Piece): Promise<void> => {
        while (running.size >= IN_FLIGHT) await Promise.race(running);
        stop.signal.throwIfAborted();
        const number = ++started;
        const sending = (async () => {
          try {
            const bytes = await piece.load(stop.signal);
            done.set(number, await putPart(to, number, bytes, { sha256: piece.sha256, signal: stop.signal }));
            await tell();
          } catch (error) {
            isOpen ||= !isRefused(error);
            stop.abort(error);
          } finally {
            piece.release();
          }
        })().finally(() => running.delete(sending));
        running.add(sending);
      };

      let rest: Piece | null = null;
      try {
        for await (const piece of cut(body)) {
          if (piece.isLast) {
            rest = piece;
            break;
          }
          try {
            if (started >= MAX_PARTS - 1) throw storageProblems.create('too-large');
            target ??= await open();
            await startPart(target, piece);
          } catch (error) {
            piece.release();
            throw error;
          }
        }
        while (running.size > 0) await Promise.race(running);
        stop.signal.throwIfAborted();
        const parts = [...done.values()].sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
        return { count: started, parts, rest: rest as Piece };
      } catch (error) {
        const reason = stop.signal.aborted ? stop.signal.reason : error;
        isOpen ||= running.size > 0;
        stop.abort(reason);
        await Promise.all(running);
        rest?.release();
        return { error: reason, isOpen };
      } finally {
        signal?.removeEventListener('abort', stopAll);
      }
    },
  };
}

/** Whether the store said no, so that nothing was done. */
export function isRefused(error: unknown): boolean {
  return error instanceof AppError && error.cause instanceof S3Fault && isRefusal(error.cause);
}

/** Signs the hash that is known already, instead of having the SDK make it again. */
function signPayload(stack: object, sha256: string | undefined): void {
  if (sha256 === undefined) return;
  const signed: BuildMiddleware<object, object> = (next) => (args) => {
    const { headers } = args.request as { headers: Record<string, string> };
    headers['x-amz-content-sha256'] = sha256;
    return next(args);
  };
  (stack as MiddlewareStack<object, object>).add(signed, { step: 'build', name: 'payloadHash' });
}
