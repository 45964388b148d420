/**
 * A map and a set for where there are very many that mostly hold one entry: a `Map` with one entry takes ten times as much. They
 * keep the order of insertion.
 */

export class CompactMap<Key, Value> {
  #key: Key | undefined;
  #value: Value | undefined;
  /** With more than one entry all are in here. */
  #more: Map<Key, Value> | null = null;

  get size(): number {
    return this.#more ? this.#more.size : this.#value === undefined ? 0 : 1;
  }

  get(key: Key): Value | undefined {
    if (this.#more) return this.#more.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  /** @param value MUST NOT be undefined. */
  set(key: Key, value: Value): this {
    if (this.#more) {
      this.#more.set(key, value);
    } else if (this.#value === undefined || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#more = new Map([
        [this.#key as Key, this.#value],
        [key, value],
      ]);
      this.#key = this.#value = undefined;
    }
    return this;
  }

  delete(key: Key): boolean {
    if (this.#more) return this.#more.delete(key);
    if (this.#value === undefined || this.#key !== key) return false;
    this.clear();
    return true;
  }

  clear(): void {
    this.#key = this.#value = undefined;
    this.#more = null;
  }

  /** As they are now: changing the map meanwhile changes nothing about it. */
  [Symbol.iterator](): IterableIterator<[Key, Value]> {
    return this.#entries()[Symbol.iterator]();
  }

  values(): readonly Value[] {
    return this.#entries().map(([, value]) => value);
  }

  #entries(): [Key, Value][] {
    if (this.#more) return [...this.#more];
    return this.#value === undefined ? [] : [[this.#key as Key, this.#value]];
  }
}

export class CompactSet<Item> {
  readonly #items = new CompactMap<Item, true>();

  get size(): number {
    return this.#items.size;
  }

  has(item: Item): boolean {
    return this.#items.has(item);
  }

  add(item: Item): this {
    this.#items.set(item, true);
    return this;
  }

  delete(item: Item): boolean {
    return this.#items.delete(item);
  }

  /** As they are now: changing the set meanwhile changes nothing about it. */
  [Symbol.iterator](): IterableIterator<Item> {
    return [...this.#items].map(([item]) => item)[Symbol.iterator]();
  }
}
