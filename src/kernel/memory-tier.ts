/**
 * What is kept in memory because it may be asked for again, bounded by bytes in all, forgotten by SIEVE (Zhang et al., NSDI '24): a
 * hit only sets a mark, and a hand that walks from the oldest to the newest removes what has no mark. What was asked for once, however
 * much of it, does not drive out what is asked for again and again, whoever of those who share the bound put it there.
 */
export class MemoryTier {
  readonly maxBytes: number;
  #bytes = 0;
  #entries = 0;
  /** Newest. */
  #head: AnyNode | null = null;
  /** Oldest. */
  #tail: AnyNode | null = null;
  /** Next to be looked at for want of room. */
  #hand: AnyNode | null = null;
  /** Next to be looked at by {@link sweep}. */
  #broom: AnyNode | null = null;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get entries(): number {
    return this.#entries;
  }

  /**
   * Keys of their own within the one bound.
   *
   * @param isOver whether a value is of no use any more, for {@link sweep}. Default: never.
   */
  open<Value>(isOver: (value: Value) => boolean = () => false): MemorySpace<Value> {
    return new MemorySpace<Value>(isOver, {
      add: (node) => this.#add(node),
      grow: (bytes) => this.#grow(bytes),
      remove: (node) => this.#remove(node),
    });
  }

  /** Looks at so many entries, going on where it stopped, and removes those that are over. */
  sweep(steps: number): void {
    for (let left = Math.min(steps, this.#entries); left > 0; left--) {
      const node = this.#broom ?? this.#tail;
      if (!node) return;
      this.#broom = node.newer;
      if (node.space.isOver(node.value)) node.space.delete(node.key);
    }
  }

  #add(node: AnyNode): boolean {
    if (node.bytes > this.maxBytes) return false;
    while (this.#bytes + node.bytes > this.maxBytes) this.#evict();
    node.older = this.#head;
    if (this.#head) this.#head.newer = node;
    else this.#tail = node;
    this.#head = node;
    this.#bytes += node.bytes;
    this.#entries++;
    return true;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    while (this.#bytes > this.maxBytes) this.#evict();
  }

  #evict(): void {
    let node = this.#hand ?? this.#tail;
    while (node?.isMarked) {
      node.isMarked = false;
      node = node.newer ?? this.#tail;
    }
    if (!node) return;
    this.#hand = node.newer;
    node.space.evict(node);
  }

  #remove(node: AnyNode): void {
    if (this.#hand === node) this.#hand = node.newer;
    if (this.#broom === node) this.#broom = node.newer;
    if (node.newer) node.newer.older = node.older;
    else this.#head = node.older;
    if (node.older) node.older.newer = node.newer;
    else this.#tail = node.newer;
    node.newer = null;
    node.older = null;
    this.#bytes -= node.bytes;
    this.#entries--;
  }
}

interface Node<Value> {
  readonly key: string;
  readonly value: Value;
  bytes: number;
  readonly space: MemorySpace<Value>;
  isMarked: boolean;
  newer: AnyNode | null;
  older: AnyNode | null;
}

// biome-ignore lint/suspicious/noExplicitAny: one queue of the values of all spaces, each of which knows its own
type AnyNode = Node<any>;

interface Queue {
  /** `false` when the node alone is larger than all may be. */
  add(node: AnyNode): boolean;
  /** Makes room for so many bytes more. */
  grow(bytes: number): void;
  remove(node: AnyNode): void;
}

/** One set of keys within a {@link MemoryTier}. */
export class MemorySpace<Value> {
  readonly #nodes = new Map<string, Node<Value>>();
  readonly #queue: Queue;
  /** For the tier alone. */
  readonly isOver: (value: Value) => boolean;
  bytes = 0;
  /** How many were forgotten for want of room. */
  evictions = 0;

  constructor(isOver: (value: Value) => boolean, queue: Queue) {
    this.isOver = isOver;
    this.#queue = queue;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(key: string): Value | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined) return undefined;
    node.isMarked = true;
    return node.value;
  }

  /** @returns whether it was taken in. What the key had before is gone either way. */
  set(key: string, value: Value, bytes: number): boolean {
    this.delete(key);
    const node: Node<Value> = { key, value, bytes, space: this, isMarked: false, newer: null, older: null };
    if (!this.#queue.add(node)) return false;
    this.#nodes.set(key, node);
    this.bytes += bytes;
    return true;
  }

  /** Counts so many bytes more for what the key has, for which others, and at the worst itself, have to go. */
  grow(key: string, bytes: number): void {
    const node = this.#nodes.get(key);
    if (!node) return;
    node.isMarked = true;
    node.bytes += bytes;
    this.bytes += bytes;
    this.#queue.grow(bytes);
  }

  delete(key: string): boolean {
    const node = this.#nodes.get(key);
    if (!node) return false;
    this.#drop(node);
    return true;
  }

  clear(): void {
    for (const node of this.#nodes.values()) this.#queue.remove(node);
    this.#nodes.clear();
    this.bytes = 0;
  }

  /** For the tier alone. */
  evict(node: Node<Value>): void {
    this.evictions++;
    this.#drop(node);
  }

  *values(): Generator<Value> {
    for (const node of this.#nodes.values()) yield node.value;
  }

  #drop(node: Node<Value>): void {
    this.#nodes.delete(node.key);
    this.#queue.remove(node);
    this.bytes -= node.bytes;
  }
}
