import { uuidv7 } from '../../kernel/ids.ts';
import type { Database } from '../../ports/database.ts';
import type { Visibility } from './admission.ts';
import { readFileName } from './file-name.ts';
import { uploadProblems } from './problems.ts';
import type { UploadService } from './service.ts';
import { type FileRecord, fileStore } from './store.ts';

/** A file as it once was. */
export interface FormerFile {
  /** Its id then; `null` when that means nothing here, as for a file of another installation. */
  readonly id: string | null;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly visibility: Visibility;
}

/**
 * `present`: the owner has that very content under that id, or name when there is no id; the body was not read. `replaced`: what the file
 * had by now stays beside it as a private copy.
 */
export type PutBackOutcome = 'present' | 'made' | 'replaced';

/**
 * Gives a user a file back, by the same limits and rules as a new one.
 * @throws `uploads/*` as an upload does; `uploads/hash-mismatch` when the body is not what it should be. Nothing is kept then.
 */
export type PutBack = (
  ownerId: string,
  file: FormerFile,
  body: () => AsyncIterable<Uint8Array>,
) => Promise<PutBackOutcome>;

export function createPutBack(database: Database, service: UploadService): PutBack {
  const findPresent = async (ownerId: string, { id, name, sha256 }: FormerFile): Promise<FileRecord | null> => {
    const found = await (id === null
      ? fileStore.findByName(database.read, ownerId, name)
      : fileStore.find(database.read, id));
    return found?.ownerId === ownerId && found.sha256 === sha256 ? found : null;
  };

  return async (ownerId, former, body) => {
    const name = readFileName(former.name);
    if (await findPresent(ownerId, { ...former, name })) return 'present';
    const { size, visibility, sha256 } = former;
    const id = former.id ?? uuidv7();
    const admitted = await service.takeOne({ ownerId, declaredBytes: size, objectOf: id }, body(), (content) => {
      if (content.sha256 !== sha256) throw uploadProblems.create('hash-mismatch');
      return { files: [{ ...content, id, name }], visibility, isRestoring: true };
    });
    return admitted.at(-1)?.isNew ? 'made' : 'replaced';
  };
}
