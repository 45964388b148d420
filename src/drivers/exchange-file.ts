import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Block } from '../ports/child-pool.ts';

/**
 * A file without a name that a process shares with its child: byte arrays that are large go through it, several times faster than
 * through the channel between them. One of the two writes, then the other reads, which frees it for what comes next.
 */
export interface ExchangeFile {
  readonly fd: number;
  /**
   * Lays the large byte arrays among a message's properties into the file, in steps that hold nobody up. They must not change until
   * it resolves. @returns the rest of the message, and what lies in the file; the whole message when the file does not take it.
   */
  put<T>(message: T): Promise<{ readonly message: T; readonly blocks: readonly Block[] }>;
  /** Puts a message together again and frees the file. @throws when the file does not hold what it should. */
  take<T>(message: T, blocks: readonly Block[]): Promise<T>;
  /** What is being put or taken just then is given up. Idempotent. */
  close(): void;
}

/** Smaller ones go through the channel as fast. */
const MIN_BYTES = 32 * 1024;
/** What is written or read before others have their turn: about a millisecond. */
const STEP_BYTES = 4 * 1024 * 1024;

/** What the file keeps of the system's memory between messages. */
const KEPT_BYTES = 4 * 1024 * 1024;

/** In memory: what is written and read step by step would hold everybody up on a disk. */
const DIRECTORY = '/dev/shm';

/** A new file in a directory; null where it cannot be written to. It is gone with the last who has it open. */
export function createExchangeFile(directory: string = DIRECTORY): ExchangeFile | null {
  const path = join(directory, `bunkhouse-${randomUUID()}`);
  try {
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return exchangeFile(fd);
  } catch {
    return null;
  }
}

/** `readSync` or `writeSync`. */
type Step = (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => number;

/** The file at a descriptor, as the child has it. */
export function exchangeFile(fd: number): ExchangeFile {
  let isOpen = true;

  const inSteps = async (bytes: Uint8Array, from: number, step: Step): Promise<void> => {
    for (let at = 0; at < bytes.byteLength; ) {
      if (at > 0) await setImmediate();
      // A descriptor that is closed may be another file's by now.
      const moved = isOpen ? step(fd, bytes, at, Math.min(STEP_BYTES, bytes.byteLength - at), from + at) : 0;
      if (moved === 0) throw new Error('the exchange file ends too early');
      at += moved;
    }
  };
  /** Gives memory back: a little is kept, since the next message would have to be given it again. */
  const shrink = (size: number): void => {
    try {
      if (isOpen && size > KEPT_BYTES) ftruncateSync(fd);
    } catch {
      // It gives back memory and nothing else: the next to write writes over what is there.
    }
  };

  return {
    fd,
    async put(message) {
      const blocks: Block[] = [];
      if (!isRecord(message)) return { message, blocks };
      const rest = { ...message };
      let end = 0;
      try {
        for (const [name, value] of Object.entries(message)) {
          if (!(value instanceof Uint8Array) || value.byteLength < MIN_BYTES) continue;
          await inSteps(value, end, writeSync);
          end += value.byteLength;
          blocks.push([name, value.byteLength]);
          delete rest[name];
        }
      } catch {
        // No room.
        shrink(Number.POSITIVE_INFINITY);
        return { message, blocks: [] };
      }
      return blocks.length === 0 ? { message, blocks } : { message: rest, blocks };
    },
    async take(message, blocks) {
      if (blocks.length === 0) return message;
      const found: Record<string, Uint8Array> = {};
      let end = 0;
      for (const [name, length] of blocks) {
        const bytes = new Uint8Array(length);
        await inSteps(bytes, end, readSync);
        end += length;
        found[name] = bytes;
      }
      shrink(end);
      return { ...message, ...found };
    },
    close() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
