/**
 * A map that forgets what was not used for long, so that no number of distinct keys can grow it past its bound. It keeps two
 * generations: what is read moves into the young one; when that is full the old one is forgotten. A hit among the young
 * costs a plain lookup, which a list in exact order of use would not.
 */
export class LruMap<Key, Value> {
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();
  readonly #generation: number;

  /** @param capacity most entries that are held at any time; at least the last half of them used are still there. */
  constructor(capacity: number) {
    this.#generation = Math.max(1, Math.ceil(capacity / 2));
  }

  /** How many entries are held; one that lives in both generations counts once. */
  get size(): number {
    let size = this.#young.size;
    for (const key of this.#old.keys()) if (!this.#young.has(key)) size++;
    return size;
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: Key, value: Value): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#generation) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  delete(key: Key): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  /** What is held, in no particular order; an entry that lives in both generations may come twice. */
  *values(): Generator<Value> {
    yield* this.#young.values();
    yield* this.#old.values();
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
