import {
  accessProblems,
  databaseProblems,
  fetchProblems,
  phpProblems,
  requestProblems,
  serverProblems,
  storageProblems,
} from './kernel/problems.ts';
import { authProblems } from './modules/auth/index.ts';
import { backupProblems } from './modules/backups/index.ts';
import { cacheProblems, httpCacheProblems } from './modules/cache/index.ts';
import { parseProblems } from './modules/parse/index.ts';
import { proxyProblems } from './modules/proxy/index.ts';
import { socketProblems } from './modules/sockets/index.ts';
import { uploadProblems } from './modules/uploads/index.ts';
import { contentProblems } from './web/file-response.ts';

/** Every problem that the house may answer with. */
export const problemTables = [
  requestProblems,
  contentProblems,
  accessProblems,
  authProblems,
  uploadProblems,
  backupProblems,
  parseProblems,
  fetchProblems,
  socketProblems,
  cacheProblems,
  httpCacheProblems,
  proxyProblems,
  storageProblems,
  databaseProblems,
  phpProblems,
  serverProblems,
];
