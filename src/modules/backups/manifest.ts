import { createHash } from 'node:crypto';
import { type Static, type TSchema, Type as t } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { fromKey, isEncryptedKey, type ObjectName } from './object-names.ts';
import { backupProblems } from './problems.ts';

/**
 * The manifest of a snapshot: what belongs to it and what each object must be. It is written last, so a snapshot whose manifest is
 * there is complete. It is readable text and names no person and no file.
 *
 * The text is JSON of which the last two lines are the hash of all lines before them and the closing brace:
 * `head -n -2 FILE | sha256sum` gives that hash.
 */

/** An object of the repository. Hash and size of the plain content, and of the bytes that are stored for it. */
export type ObjectEntry = Readonly<Static<typeof objectEntry>>;
/** The image of one database. `migrations` are those that it had, the latest last; `tables` counts rows. */
export type DatabaseEntry = Static<typeof databaseEntry>;
export type Manifest = Static<typeof manifestSchema>;

/** Objects are addressed by what they hold; that is what a manifest may ask for at most. */
const MAX_OBJECT_BYTES = 2 ** 46;

const sha256 = t.String({ pattern: '^[0-9a-f]{64}$' });
const bytes = t.Integer({ minimum: 0, maximum: MAX_OBJECT_BYTES });
const count = t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const uuid = t.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' });
const nullable = <T extends TSchema>(schema: T) => t.Union([schema, t.Null()]);

const objectEntry = t.Object({
  key: t.String({ maxLength: 180 }),
  sha256,
  bytes,
  storedBytes: bytes,
  storedSha256: sha256,
});

const databaseEntry = t.Object({
  name: t.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' }),
  image: objectEntry,
  tables: t.Record(t.String({ maxLength: 200 }), count),
  migrations: t.Array(t.String({ maxLength: 200 }), { maxItems: 100_000 }),
});

/** A file whose content was lost or wrong already when the snapshot was taken. */
const damagedFile = t.Object({
  fileId: t.String({ maxLength: 100 }),
  sha256,
  reason: t.Union([t.Literal('missing'), t.Literal('changed')]),
});

const manifestSchema = t.Object({
  format: t.Literal(1),
  id: uuid,
  scope: t.Union([t.Literal('system'), t.Literal('user')]),
  userId: nullable(t.String({ maxLength: 100 })),
  note: t.String({ maxLength: 10_000 }),
  /** ISO 8601, UTC: when its content is as of. */
  createdAt: t.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }),
  tookMs: count,
  /** Version of the program that made it. */
  program: t.String({ maxLength: 100 }),
  /** Id of the system that it was taken from. */
  installation: t.String({ maxLength: 100 }),
  /** Files in it, of which several may have one content. Manifests of the first versions do not say; nor the next. */
  files: t.Optional(count),
  /** Where its files come from: `imported` by an archive that somebody brought. */
  origin: t.Optional(t.Union([t.Literal('here'), t.Literal('imported')])),
  /** What its objects are encrypted to (an age recipient); `null` when they are not. */
  recipient: nullable(t.String({ pattern: '^age1[0-9a-z]{10,1000}$' })),
  /** Empty for the scope of a user. */
  databases: t.Array(databaseEntry, { maxItems: 10_000 }),
  blobs: t.Object({ list: objectEntry, count, bytes: count }),
  sealed: t.Array(t.Intersect([objectEntry, t.Object({ kind: t.Union([t.Literal('secret'), t.Literal('index')]) })]), {
    maxItems: 100,
  }),
  /** Whether the secret of the installation is among `sealed`; one that its operator set is not part of a backup. */
  secret: t.Union([t.Literal('included'), t.Literal('set-by-hand'), t.Literal('none')]),
  damaged: t.Array(damagedFile),
});

/** The text of a manifest, with its hash. */
export function toManifestText(manifest: Manifest): string {
  const body = `${JSON.stringify(manifest, null, 2).replace(/\n}$/, '')},\n`;
  return `${body}${trailerOf(body)}`;
}

/**
 * Reads a manifest, which may come from anywhere.
 * @throws backups/damaged when it is not what was written, or asks for what no manifest may; backups/newer-format.
 */
export function readManifestText(text: string): Manifest {
  const end = text.lastIndexOf('  "sha256": "');
  const body = text.slice(0, Math.max(end, 0));
  if (text.slice(body.length) !== trailerOf(body)) throw broken('its text does not have the hash that it says');
  const value = parse(text);
  const { format } = (value ?? {}) as { readonly format?: unknown };
  if (typeof format === 'number' && format > 1) throw backupProblems.create('newer-format');
  if (!Value.Check(manifestSchema, value)) {
    const { path = '', message = '' } = Value.Errors(manifestSchema, value).First() ?? {};
    throw broken(`${path}: ${message}`);
  }
  // What this version does not know is dropped, so that nothing comes along unchecked.
  const manifest = Value.Clean(manifestSchema, value) as Manifest;
  for (const fault of findFaults(manifest)) throw broken(fault);
  return manifest;
}

/** Every object of a snapshot but the blobs, which are in its list. */
export function objectsOf({ databases, blobs, sealed }: Manifest): readonly ObjectEntry[] {
  return [...databases.map(({ image }) => image), ...sealed, blobs.list];
}

/** `20261123T034500.123Z`: a moment as part of a key, in the order of time. */
export function toStamp(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[-:]/g, '');
}

export function toManifestKey({ createdAt, id }: Pick<Manifest, 'createdAt' | 'id'>): string {
  return `snapshots/${toStamp(Date.parse(createdAt))}-${id}.json`;
}

/** Keys must be those of the kind and of the hash they stand for, and encrypted exactly when the snapshot is. */
function* findFaults(manifest: Manifest): Generator<string> {
  const { recipient, databases, sealed, blobs } = manifest;
  const isRight = ({ key, sha256 }: ObjectEntry, expected: Partial<ObjectName>) => {
    const name = fromKey(key);
    if (!name || name.sha256 !== sha256 || name.kind !== expected.kind) return false;
    if (name.kind === 'database' && 'database' in expected && name.database !== expected.database) return false;
    return name.kind === 'list' || isEncryptedKey(key) === (recipient !== null);
  };
  if (!Number.isFinite(Date.parse(manifest.createdAt))) yield '/createdAt: no moment';
  if (manifest.scope === 'user' && manifest.userId === null) yield '/userId: a backup of a user needs one';
  if (new Set(databases.map(({ name }) => name)).size < databases.length) yield '/databases: a name comes twice';
  for (const { name, image } of databases) {
    if (!isRight(image, { kind: 'database', database: name })) yield '/databases: not the key of its image';
  }
  if (!sealed.every((entry) => isRight(entry, { kind: 'sealed' }))) yield '/sealed: not the key of its content';
  if (!isRight(blobs.list, { kind: 'list' })) yield '/blobs/list: not the key of a list';
}

function trailerOf(body: string): string {
  return `  "sha256": "${createHash('sha256').update(body).digest('hex')}"\n}\n`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw broken('it is not JSON');
  }
}

function broken(reason: string) {
  return backupProblems.create('damaged', { detail: `The manifest of a backup cannot be used: ${reason}.` });
}
