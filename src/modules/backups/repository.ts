import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open as openFile, unlink } from 'node:fs/promises';
import { AppError } from '../../kernel/errors.ts';
import { isUuid, uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Compressor } from '../../ports/compressor.ts';
import type { RepositoryPutOptions, RepositoryStore } from '../../ports/repository-store.ts';
import type { PackedFile } from '../../ports/unpacking.ts';
import { atOnce } from './at-once.ts';
import { type ListLine, readList, toLine } from './blob-list.ts';
import { CHECKS, type Check, keysOfCheck, readCheckText, toCheckKey, toCheckText } from './check.ts';
import { checked, damaged, decode, type Encoded, encode, encodeWhole, measure, sha256Of } from './codec.ts';
import { type Manifest, type ObjectEntry, readManifestText, toManifestKey, toManifestText } from './manifest.ts';
import { fromKey, isEncryptedKey, type ObjectName, toKey, toStem } from './object-names.ts';
import { backupProblems } from './problems.ts';
import { type KeySettings, openKeys } from './repository-keys.ts';
import {
  type Holder,
  type LeaseKind,
  type LeaseTimes,
  type RepositoryLease,
  repositoryLeases,
} from './repository-lease.ts';
import { readText, writeText } from './small-objects.ts';

export interface RepositoryOptions {
  readonly store: RepositoryStore;
  readonly clock: Clock;
  readonly compress: Compressor;
  readonly holder: Holder;
  /** Needed for what is encrypted, and to encrypt. */
  readonly keys?: KeySettings;
  readonly leaseTimes?: LeaseTimes;
}

export interface WriteOptions {
  readonly signal?: AbortSignal;
}

export interface WriteObjectOptions extends WriteOptions {
  /** Where a small object may be read back to, if it fits. The content itself may lie there. */
  readonly memory?: Uint8Array;
}

/** Every snapshot there is, newest first, and what of them cannot be read. */
export interface Snapshots {
  readonly manifests: readonly Manifest[];
  readonly broken: readonly { readonly key: string; readonly reason: string }[];
}

/**
 * A backup repository: objects that never change, addressed by what they hold, and manifests that say which of them make a
 * snapshot. Reading works on a repository that is not there yet: it is empty.
 */
export interface Repository {
  /** `null` before {@link initialise}, when there is none yet, or its description is damaged. */
  readonly id: string | null;
  /** Where it is, for people. */
  readonly place: string;
  /** What new objects are encrypted to; `null` when they are not, or before {@link initialise}. */
  readonly recipient: string | null;
  /**
   * To be called before anything is written: makes the repository, and its key, when they are new, and makes sure that what is
   * encrypted can be decrypted again. Idempotent.
   * @throws backups/unproven-key until the owner of a recipient has opened the repository with the identity once;
   * backups/needs-key when it is encrypted and nothing says so here.
   */
  initialise(): Promise<void>;
  /** Puts another passphrase in place of the one that it was opened with. */
  changePassphrase(passphrase: string): Promise<void>;
  /** Whether the objects of a snapshot can be decrypted with the keys at hand. */
  canRead(manifest: Manifest): boolean;
  /** Whether a new snapshot may refer to the objects of this one: they are kept as new ones would be. */
  canReuse(manifest: Manifest): boolean;

  snapshots(): Promise<Snapshots>;
  /**
   * By id or `latest`; of one scope when it is given.
   * @throws backups/damaged when the one that is asked for is broken, or there is a broken one that is later than the latest.
   */
  find(idOrLatest: string, scope?: Manifest['scope']): Promise<Manifest | null>;
  /** Makes the snapshot complete. @throws backups/lease-lost when the lease is no longer held. */
  writeManifest(manifest: Manifest, lease: RepositoryLease): Promise<void>;
  /** Forgets a snapshot and its checks; what only it referred to is swept later. Idempotent. */
  forget(manifest: Pick<Manifest, 'id' | 'createdAt'>): Promise<void>;

  /**
   * Stores an object, reads it back and compares. The content comes as a stream, or whole when it is small. Compression and encryption
   * happen on the way, in bounded memory. Other snapshots may need what lies under its name, in bytes of another version's making: ask
   * {@link findObject} first, and use what it finds.
   * @throws backups/wrong-content when the content does not have the hash of its name: nothing is kept then;
   * backups/damaged-write when the store gives back other bytes.
   */
  writeObject(
    name: ObjectName,
    plain: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteObjectOptions,
  ): Promise<ObjectEntry>;
  /**
   * An object that an earlier run left, as an entry that may be referred to: it is read and compared with the hash of its
   * name. `null` when there is none, it is damaged, or cannot be decrypted here.
   */
  findObject(name: ObjectName): Promise<ObjectEntry | null>;
  /** Hashes of the contents that are stored and begin with these two digits, whoever refers to them. */
  storedBlobs(shard: string): Promise<ReadonlySet<string>>;
  /** The plain content, verified while it is read: its last chunk comes only when all is right. @throws backups/damaged */
  openObject(entry: ObjectEntry): AsyncIterable<Uint8Array>;
  /**
   * The file of a small object that is stored without encryption on a disk of this machine; `null` for any other. Whoever reads it
   * verifies it as {@link openObject} does.
   */
  packedFile(entry: ObjectEntry): PackedFile | null;
  /** Reads an object and compares the stored bytes with the entry, which needs no key. @throws backups/damaged */
  verifyStored(entry: ObjectEntry): Promise<void>;

  /** The blobs of a snapshot, in order of their hashes. @throws backups/damaged */
  list(manifest: Manifest): AsyncIterable<ListLine>;
  /** Stores lines that are in order of their hashes. @param spoolPath a file that may be made for a while. */
  writeList(lines: AsyncIterable<ListLine>, spoolPath: string, options?: WriteOptions): Promise<Manifest['blobs']>;

  /** @throws backups/busy, naming who is in the way. */
  lease(kind: LeaseKind, purpose: string): Promise<RepositoryLease>;

  /** Of very many findings the first are kept, and the keys of the others. */
  writeCheck(check: Check): Promise<void>;
  /** Newest first; one that cannot be read is left out. */
  checks(): Promise<readonly Check[]>;
  /** Keys of objects that a check found damaged: they are not relied on before they were read again. */
  suspects(): Promise<ReadonlySet<string>>;
}

const REPOSITORY = 'repository.json';
const SNAPSHOTS = 'snapshots/';
/** An object up to this size may be unpacked in one go. */
const PACKED_BYTES = 2 ** 22;
/** Small objects that are read at once. */
const READS = 8;

/**
 * Opens a repository; it is asked for its description and its keys.
 * @throws backups/newer-format, backups/damaged; backups/wrong-key when the passphrase does not open it.
 */
export async function openRepository(options: RepositoryOptions): Promise<Repository> {
  const { store, clock, compress, holder, leaseTimes } = options;
  const lease = repositoryLeases({ store, clock, holder }, leaseTimes);
  const description = readDescription(await readText(store, REPOSITORY));
  let id = typeof description === 'string' ? description : null;
  const keys = await openKeys({ store, clock }, options.keys ?? {});

  const open = (entry: ObjectEntry): AsyncIterable<Uint8Array> => ({
    async *[Symbol.asyncIterator]() {
      const stored = await store.get(entry.key).catch((error: unknown) => {
        throw isUnreadable(error) ? damaged(entry, 'the disk cannot read it', error) : error;
      });
      if (!stored) throw damaged(entry, 'it is missing');
      try {
        yield* stored;
      } catch (error) {
        throw isUnreadable(error) ? damaged(entry, 'the disk cannot read it', error) : error;
      }
    },
  });
  const verifyStored = async (entry: ObjectEntry): Promise<void> => {
    for await (const _ of checked(entry, open(entry)));
  };
  const put = async (
    key: string,
    stored: AsyncIterable<Uint8Array>,
    encoded: () => Encoded,
    options: RepositoryPutOptions,
  ) => {
    await store.put(key, stored, options);
    const entry: ObjectEntry = { key, ...encoded() };
    await verifyStored(entry).catch((error: unknown) => giveUp(key, error));
    return entry;
  };
  const putWhole = async (
    key: string,
    { stored, ...encoded }: Awaited<ReturnType<typeof encodeWhole>>,
    { memory, ...options }: RepositoryPutOptions & Pick<WriteObjectOptions, 'memory'>,
  ) => {
    await store.put(key, stored, options);
    const entry: ObjectEntry = { key, ...encoded };
    try {
      if (!memory || !store.read || stored.length > memory.length) await verifyStored(entry);
      else {
        const length = await store.read(key, memory);
        // Byte by byte, which takes a tenth of a hash.
        const isSame = length === stored.length && Buffer.compare(stored, memory.subarray(0, length)) === 0;
        if (!isSame) throw damaged(entry, 'its bytes are not those that were written');
      }
    } catch (error) {
      await giveUp(key, isUnreadable(error) ? damaged(entry, 'the disk cannot read it', error) : error);
    }
    return entry;
  };
  /** What was written is not what is there. */
  const giveUp = async (key: string, cause: unknown): Promise<never> => {
    if (!backupProblems.is(cause, 'damaged')) throw cause;
    // A key of its own is nobody else's; to any other an older snapshot may refer, and the next run finds the damage and mends it.
    if (isEncryptedKey(key)) await store.delete(key).catch(() => undefined);
    throw backupProblems.create('damaged-write', { cause });
  };

  const measureStored = async (key: string, identities: readonly string[]): Promise<Encoded | null> => {
    try {
      const stored = await store.get(key);
      return stored && (await measure(key, stored, identities));
    } catch (error) {
      if (isUnreadable(error)) return null;
      throw error;
    }
  };
  const findObject = async (name: ObjectName): Promise<ObjectEntry | null> => {
    const recipient = name.kind === 'list' ? null : keys.recipient;
    // What is encrypted to another key would not fit a new snapshot.
    const identities = recipient === null ? [] : keys.identities(recipient);
    if (recipient !== null && identities.length === 0) return null;
    for await (const { key } of store.list(toStem(name))) {
      if (fromKey(key)?.kind !== name.kind || isEncryptedKey(key) !== (recipient !== null)) continue;
      const encoded = await measureStored(key, identities);
      if (encoded?.sha256 === name.sha256) return { key, ...encoded };
    }
    return null;
  };

  const describe = async (): Promise<void> => {
    if (id !== null) return;
    if (description instanceof AppError) throw description;
    const made = { format: 1, id: uuidv7(clock.now()), createdAt: new Date(clock.now()).toISOString() };
    await writeText(store, REPOSITORY, `${JSON.stringify(made, null, 2)}\n`);
    // Had another machine the same idea, both go on with what was written last.
    const written = readDescription(await readText(store, REPOSITORY));
    if (typeof written !== 'string') throw backupProblems.create('damaged-write');
    id = written;
  };
  const readSnapshots = async (): Promise<Snapshots> => {
    const keys = await keysOf(store, SNAPSHOTS);
    const manifests: Manifest[] = [];
    const broken: { key: string; reason: string }[] = [];
    await atOnce(keys, READS, async (key) => {
      try {
        const text = await readText(store, key);
        if (text === null) return;
        const manifest = readManifestText(text);
        if (toManifestKey(manifest) !== key) throw damaged({ key }, 'it is the manifest of another backup');
        manifests.push(manifest);
      } catch (error) {
        if (!backupProblems.is(error, 'damaged') && !backupProblems.is(error, 'newer-format')) throw error;
        broken.push({ key, reason: error.detail });
      }
    });
    manifests.sort((a, b) => (toManifestKey(a) < toManifestKey(b) ? 1 : -1));
    return { manifests, broken };
  };

  const readChecks = async (): Promise<readonly Check[]> => {
    const found: Check[] = [];
    await atOnce(await keysOf(store, CHECKS), READS, async (key) => {
      const text = await readText(store, key).catch((error: unknown) => {
        // Checks are records: without one of them all goes on.
        if (backupProblems.is(error, 'damaged') || isUnreadable(error)) return null;
        throw error;
      });
      const check = readCheckText(text ?? '');
      if (check) found.push(check);
    });
    return found.sort((a, b) => (toCheckKey(a) < toCheckKey(b) ? 1 : -1));
  };

  return {
    get id() {
      return id;
    },
    place: store.place,
    get recipient() {
      return keys.recipient;
    },
    async initialise() {
      await store.check();
      await describe();
      await keys.prepare();
    },
    changePassphrase: (passphrase) => keys.changePassphrase(passphrase),
    canRead: ({ recipient }) => recipient === null || keys.identities(recipient).length > 0,
    canReuse: ({ recipient }) => recipient === keys.recipient,

    snapshots: readSnapshots,
    async find(idOrLatest, scope) {
      const { manifests, broken } = await readSnapshots();
      const fits = (manifest: Manifest) => scope === undefined || manifest.scope === scope;
      const found = manifests.find(
        (manifest) => fits(manifest) && (idOrLatest === 'latest' || manifest.id === idOrLatest),
      );
      // Whoever asks for the latest is not given an older one in silence.
      const isWanted = ({ key }: { readonly key: string }) =>
        idOrLatest === 'latest' ? !found || key > toManifestKey(found) : !found && key.endsWith(`-${idOrLatest}.json`);
      const hurt = broken.find(isWanted);
      if (hurt) throw damaged(hurt, `${hurt.reason} Ask for an older backup by its id`);
      return found ?? null;
    },
    async writeManifest(manifest, held) {
      const [key, text] = [toManifestKey(manifest), toManifestText(manifest)];
      // What could not be read again is not written.
      readManifestText(text);
      await store.flush?.();
      await held.assertHeld();
      try {
        await writeText(store, key, text);
        if ((await readText(store, key)) !== text) throw backupProblems.create('damaged-write');
      } catch (error) {
        await store.delete(key).catch(() => undefined);
        throw error;
      }
    },
    async forget(manifest) {
      await store.delete(toManifestKey(manifest));
      const own = (await readChecks()).filter(({ snapshot }) => snapshot === manifest.id);
      await atOnce(own, READS, (check) => store.delete(toCheckKey(check)));
    },

    async writeObject(name, plain, { signal, memory } = {}) {
      const { recipient } = keys;
      const key = toKey(name, recipient === null ? null : randomBytes(6).toString('hex'));
      // There are many contents, and nothing refers to them before the manifest is written.
      const isDeferred = name.kind === 'blob';
      if (plain instanceof Uint8Array) {
        if (sha256Of(plain) !== name.sha256) throw backupProblems.create('wrong-content');
        const whole = await encodeWhole(plain, recipient, compress, name.sha256);
        return putWhole(key, whole, { signal, isDeferred, ...(memory ? { memory } : {}) });
      }
      const { stored, encoded } = encode(plain, recipient, compress);
      async function* asNamed() {
        yield* stored;
        if (encoded().sha256 !== name.sha256) throw backupProblems.create('wrong-content');
      }
      return put(key, asNamed(), encoded, { signal, isDeferred });
    },
    findObject,
    async storedBlobs(shard) {
      const hashes = new Set<string>();
      for await (const { key } of store.list(`blobs/${shard}/`)) {
        const name = fromKey(key);
        if (name) hashes.add(name.sha256);
      }
      return hashes;
    },
    openObject: (entry) => decode(entry, open(entry), keys.identities()),
    packedFile(entry) {
      if (entry.bytes > PACKED_BYTES || entry.storedBytes > PACKED_BYTES || isEncryptedKey(entry.key)) return null;
      return store.fileOf ? { ...entry, path: store.fileOf(entry.key) } : null;
    },
    verifyStored,

    list: (manifest) => readList(manifest, decode(manifest.blobs.list, open(manifest.blobs.list), [])),
    async writeList(lines, spoolPath, { signal } = {}) {
      let count = 0;
      let bytes = 0;
      async function* texts() {
        for await (const line of lines) {
          count++;
          bytes += line.bytes;
          yield Buffer.from(toLine(line), 'latin1');
        }
      }
      const { stored, encoded } = encode(texts(), null, compress);
      try {
        const spool = await openFile(spoolPath, 'w', 0o600);
        try {
          for await (const chunk of stored) await spool.write(chunk);
        } finally {
          await spool.close();
        }
        const name = { kind: 'list', sha256: encoded().sha256 } as const;
        const list =
          (await findObject(name)) ?? (await put(toKey(name, null), createReadStream(spoolPath), encoded, { signal }));
        return { list, count, bytes };
      } finally {
        await unlink(spoolPath).catch(() => undefined);
      }
    },

    lease,

    writeCheck: (check) => writeText(store, toCheckKey(check), toCheckText(check)),
    checks: readChecks,
    async suspects() {
      const checks = await readChecks();
      return new Set(checks.flatMap(keysOfCheck));
    },
  };
}

/** A sector that is lost, as opposed to a store that cannot be reached. */
function isUnreadable(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === 'EIO';
}

/**
 * The id; `null` when there is no description, and an error when it is damaged: that keeps nobody from reading what is there.
 * @throws backups/newer-format
 */
function readDescription(text: string | null): string | AppError | null {
  if (text === null) return null;
  const { format, id } = parseObject(text);
  if (typeof format === 'number' && format > 1) throw backupProblems.create('newer-format');
  if (format === 1 && typeof id === 'string' && isUuid(id)) return id;
  return damaged({ key: REPOSITORY }, 'it describes no repository; delete it, and the next backup makes it again');
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

async function keysOf(store: RepositoryStore, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) if (key.endsWith('.json')) keys.push(key);
  return keys;
}
