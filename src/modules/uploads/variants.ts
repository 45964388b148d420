import { randomToken, uuidv7 } from '../../kernel/ids.ts';
import { LruMap } from '../../kernel/lru.ts';
import { serverProblems, storageProblems } from '../../kernel/problems.ts';
import { createSemaphore } from '../../kernel/semaphore.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { ImageOutcome, ImageRecipe, Images } from '../../ports/images.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ByteRange, ObjectBody, ObjectStore } from '../../ports/object-store.ts';
import { recipeKey } from './image-query.ts';
import { uploadProblems } from './problems.ts';
import { isPicture } from './sniff.ts';
import type { FileRecord } from './store.ts';
import { type VariantBounds, type VariantRecord, variantStore } from './variant-store.ts';

/** A source is held in memory as a whole. */
const MAX_SOURCE_BYTES = 32 * 1024 * 1024;
/** Sources that are held at once, and requests that wait for that. */
const PLACES = 2;
const MAX_WAITING = 64;
/** So many may wait before a stranger is turned away. */
const MAX_BEFORE_STRANGERS = 32;
/** What is kept of the variants of one file, since they count for nobody's quota; the oldest go. */
const BOUNDS: VariantBounds = { maxCount: 100, maxBytes: (sourceBytes) => 4 * sourceBytes + 20_000_000 };
/** Contents that are known to give no picture, and for how long that is believed. */
const REMEMBERED_FAILURES = 1_000;
const FAILURE_MS = 10 * 60_000;
const BUSY_SECONDS = 2;

export interface VariantsOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Logger;
  /** Deletes an object unless a row names it. Never throws. */
  readonly abandon: (objects: readonly { readonly objectKey: string }[]) => Promise<void>;
  /** Called after rows have let go of their objects. */
  readonly onDoomed: () => void;
}

type Failure = Exclude<ImageOutcome<never>['status'], 'done'>;

export interface Variants {
  /**
   * The picture of a file by a recipe: made at the first wish, kept in the object store from then on. Throws
   * `uploads/not-an-image`, `uploads/image-too-large`, and `server/busy` when too much is wished for at once, which strangers are
   * told earlier than those who are signed in.
   */
  get(file: FileRecord, recipe: ImageRecipe, isStranger: boolean): Promise<VariantRecord>;
  open(variant: VariantRecord, range?: ByteRange): Promise<ObjectBody['body']>;
  /** The ThumbHash of a content, empty when it has none. Throws when that cannot be said now. */
  thumbhash(source: Pick<FileRecord, 'objectKey' | 'size'>): Promise<string>;
}

/** Pictures of pictures: one computation for each at a time, few of them at once, and each kept. */
export function createVariants(options: VariantsOptions): Variants {
  const { database, store, images, clock, log, abandon, onDoomed } = options;
  const places = createSemaphore(PLACES, MAX_WAITING);
  const underWay = new Map<string, Promise<VariantRecord>>();
  const failures = new LruMap<string, { readonly failure: Failure; readonly until: number }>(REMEMBERED_FAILURES);

  /** Reads a whole source and works on it, when there is a place. */
  const workOn = <Result>(
    source: Pick<FileRecord, 'objectKey' | 'size'>,
    work: (bytes: Uint8Array) => Promise<ImageOutcome<Result>>,
    maxBefore = MAX_WAITING,
  ): Promise<ImageOutcome<Result>> => {
    if (source.size > MAX_SOURCE_BYTES) return Promise.resolve({ status: 'too-many-pixels' });
    const done = places.run(async () => {
      const object = await store.get(source.objectKey);
      if (!object) throw storageProblems.create('unavailable');
      return work(new Uint8Array(await new Response(object.body).arrayBuffer()));
    }, maxBefore);
    return done ?? Promise.reject(serverProblems.create('busy', { retryAfterSeconds: BUSY_SECONDS }));
  };

  const make = async (
    file: FileRecord,
    recipe: ImageRecipe,
    key: string,
    isStranger: boolean,
  ): Promise<VariantRecord> => {
    const maxBefore = isStranger ? MAX_BEFORE_STRANGERS : MAX_WAITING;
    const outcome = await workOn(file, (bytes) => images.render(bytes, recipe), maxBefore);
    if (outcome.status !== 'done') {
      const failure = outcome.status;
      failures.set(failureKey(file, key, failure), { failure, until: clock.now() + FAILURE_MS });
      throw problemOf(failure);
    }
    const { bytes } = outcome.result;
    const objectKey = `variants/${file.id}/${randomToken(12)}`;
    const { size } = await store.put(objectKey, oneChunk(bytes));
    const now = clock.now();
    const made = {
      id: uuidv7(now),
      fileId: file.id,
      recipe: key,
      objectKey,
      size,
      type: `image/${recipe.format}`,
      createdAt: now,
    };
    let kept: VariantRecord | null;
    try {
      kept = await database.write((tx) => variantStore.insert(tx, made, file.objectKey, BOUNDS));
    } catch (error) {
      await abandon([made]);
      throw error;
    }
    // An object that is left over, or not settled, is found at the next start.
    await (kept?.id === made.id ? store.settle(objectKey) : store.delete(objectKey)).catch((error: unknown) =>
      log.warn({ err: error, objectKey }, 'the object of a picture could not be settled yet'),
    );
    onDoomed();
    // Replaced or deleted meanwhile.
    if (!kept) throw storageProblems.create('unavailable');
    return kept;
  };

  return {
    async get(file, recipe, isStranger) {
      if (!isPicture(file.type)) throw uploadProblems.create('not-an-image');
      const key = recipeKey(recipe);
      const found = await variantStore.find(database.read, file.id, key);
      if (found) return found;
      const flight = `${file.objectKey} ${key}`;
      const known = failures.get(file.objectKey) ?? failures.get(flight);
      if (known && known.until > clock.now()) throw problemOf(known.failure);
      const running = underWay.get(flight);
      if (running) return running;
      const making = make(file, recipe, key, isStranger).finally(() => underWay.delete(flight));
      underWay.set(flight, making);
      return making;
    },

    async open({ id, objectKey }, range) {
      const object = await store.get(objectKey, range);
      if (object) return object.body;
      // It can be made again, once nothing claims that it is there.
      await database.write((tx) => variantStore.remove(tx, id));
      throw storageProblems.create('unavailable');
    },

    async thumbhash(source) {
      const outcome = await workOn(source, (bytes) => images.thumbhash(bytes));
      return outcome.status === 'done' ? outcome.result : '';
    },
  };
}

/** What makes one picture of a content impossible may not matter for another; the rest holds for all of them. */
function failureKey(file: FileRecord, key: string, failure: Failure): string {
  return failure === 'too-many-pixels' ? `${file.objectKey} ${key}` : file.objectKey;
}

function problemOf(failure: Failure) {
  return uploadProblems.create(failure === 'unreadable' ? 'not-an-image' : 'image-too-large');
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
