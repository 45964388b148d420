import { dlopen } from 'bun:ffi';

/** Tells the disk to take what was written to a file, and waits for nothing. It makes nothing durable: that takes a flush. */
export type StartWriteback = (descriptor: number) => void;

/** The C library as glibc and musl name it. */
const LIBRARIES = ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`];
/** `SYNC_FILE_RANGE_WRITE` of sync_file_range(2). */
const WRITE = 2;

/**
 * The kernel leaves what was written in memory for half a minute, and then everybody's flush waits behind all of it. This has it
 * written at once, in small parts. Where the system cannot do that, nothing happens.
 */
export function writebackStarter(): StartWriteback {
  const call = findCall();
  // A failure is met again, and told, by the flush that follows. Up to the end of the file is length 0.
  return (descriptor) => void call?.(descriptor, 0, 0, WRITE);
}

function findCall() {
  if (process.platform !== 'linux') return null;
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, { sync_file_range: { args: ['i32', 'i64', 'i64', 'u32'], returns: 'i32' } }).symbols
        .sync_file_range;
    } catch {
      // Another library, or none that has it.
    }
  }
  return null;
}
