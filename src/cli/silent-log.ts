export { silentLog } from '../ports/logger.ts';
