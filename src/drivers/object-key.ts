/** So that a key fits into a file name, or an object's name, with room for what a store puts in front. */
const MAX_KEY_LENGTH = 180;
const KEY = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/** Throws when a key is not one of ours: keys are made by code, so that is a bug. */
export function assertKey(key: string): void {
  if (!isKey(key) || key.length > MAX_KEY_LENGTH || key.split('/').some((segment) => /^\.+$/.test(segment))) {
    throw new Error('not an object key');
  }
}

/** Whether a text has the characters of a key. */
export function isKey(text: string): boolean {
  return KEY.test(text);
}
