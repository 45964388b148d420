import { accessProblems } from '../../kernel/problems.ts';
import { contextOf } from '../../web/context.ts';
import { uploadProblems } from './problems.ts';
import type { UploadService } from './service.ts';
import type { FileRecord } from './store.ts';

/** The file that a request may read. A missing one and one that is not for this caller look alike. */
export function createGetReadable(service: Pick<UploadService, 'findReadable'>) {
  return (request: Request, id: string): FileRecord | Promise<FileRecord> => {
    const { caller, credentialFault } = contextOf(request);
    const existing = (file: FileRecord | null): FileRecord => {
      if (file) return file;
      throw caller ? uploadProblems.create('not-found') : (credentialFault ?? accessProblems.create('required'));
    };
    const file = service.findReadable(caller, id);
    return file instanceof Promise ? file.then(existing) : existing(file);
  };
}
