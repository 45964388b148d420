import { LruMap } from './lru.ts';

/** Hardly an address that is asked for twice is longer. */
const MAX_LENGTH = 2048;

/**
 * What is remembered of URLs or paths, which clients write as long as they like. The longest are not remembered, so that a bound in
 * entries is one in bytes, too.
 */
export class AddressMap<Value> extends LruMap<string, Value> {
  override set(address: string, value: Value): void {
    if (address.length <= MAX_LENGTH) super.set(address, value);
  }
}
