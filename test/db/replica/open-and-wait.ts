/** Opens a replica, tells the number of its syncing process and stays: `open-and-wait.ts PATH URL TOKEN`. */
import { openReplicaDatabase } from '../../../src/db/replica.ts';
import { recordingLog } from '../../support/fakes.ts';

const [path = '', url = '', authToken = ''] = process.argv.slice(2);
const database = await openReplicaDatabase({ name: 'main', path, remote: { url, authToken }, log: recordingLog() });
process.stdout.write(String(database.syncPid));
await new Promise(() => undefined);
