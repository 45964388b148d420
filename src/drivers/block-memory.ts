/** Memory that the event loop fills and that other threads hash and write. */
export type Block = Uint8Array<SharedArrayBuffer>;

/** Who has a block that waits for more of its stream. */
export interface BlockHolder {
  /** Others need memory. Called now and then; a block that has been asked for before MUST be sent on its way, however little is in it. */
  yieldSoon(): void;
}

/**
 * Equal blocks that all streams share: their number bounds the memory, however many streams there are. Who gets none waits its
 * turn; meanwhile streams that have not filled what they hold must soon give it up, so that slow ones keep nobody waiting.
 */
export interface BlockMemory {
  readonly blockBytes: number;
  take(): Block | Promise<Block>;
  give(block: Block): void;
  /** Says who holds a block that may be asked for, until {@link sent}. */
  held(holder: BlockHolder): void;
  sent(holder: BlockHolder): void;
}

/** How long a stream may fill a block while others wait for memory; at most twice that. */
const YIELD_MS = 25;
/** Blocks that stay resident while nobody uses them; memory of more is given back. */
const KEPT = 8;

export function blockMemory(blockBytes: number, count: number): BlockMemory {
  const holders = new Set<BlockHolder>();
  const waiting: ((block: Block) => void)[] = [];
  let free: Block[] | null = null;
  /** How many blocks of this piece of memory were ever used. */
  let touched = 0;
  let isAsking = false;

  /** One piece, so that another thread learns of it once. It takes room only where it is written to. */
  const cut = (): Block[] => {
    const memory = new SharedArrayBuffer(blockBytes * count);
    return Array.from(
      { length: count },
      (_, index) => new Uint8Array(memory, (count - 1 - index) * blockBytes, blockBytes),
    );
  };
  const ask = (): void => {
    for (const holder of [...holders]) holder.yieldSoon();
    isAsking = waiting.length > 0;
    if (isAsking) setTimeout(ask, YIELD_MS);
  };
  const wait = (): Promise<Block> => {
    if (!isAsking) setTimeout(ask, YIELD_MS);
    isAsking = true;
    return new Promise((resolve) => waiting.push(resolve));
  };

  return {
    blockBytes,
    take() {
      free ??= cut();
      const block = free.pop();
      touched = Math.max(touched, count - free.length);
      return block ?? wait();
    },
    give(block) {
      const next = waiting.shift();
      if (next) return next(block);
      free?.push(block);
      if (free?.length !== count || touched <= KEPT) return;
      free = null;
      touched = 0;
    },
    held: (holder) => void holders.add(holder),
    sent: (holder) => void holders.delete(holder),
  };
}
