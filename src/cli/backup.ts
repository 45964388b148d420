import { createBackup } from './backup-create.ts';
import { keyCommand } from './backup-key.ts';
import { listBackups, showBackup } from './backup-list.ts';
import { pruneBackups } from './backup-prune.ts';
import { restoreBackup } from './backup-restore.ts';
import { verifyBackup } from './backup-verify.ts';
import { type Command, CommandError } from './command.ts';

export const backupCommand: Command = {
  summary: 'Take backups, check them and restore from them',
  help: `Usage: bunkhouse backup create [--user EMAIL|ID] [--note TEXT] [--json]
       bunkhouse backup list [--json]
       bunkhouse backup show ID|latest [--json]
       bunkhouse backup verify ID|latest [--quick | --share | --full | --test-restore] [--json]
       bunkhouse backup restore ID|latest [--dry-run] [--yes] [--json]
           [--to DIR]                    into a new data folder; nothing else is touched
           [--database NAME [--to FILE]] one database, into place or as a SQLite file
           [--user EMAIL|ID] [--file ID] files of one user, or one file, back into the system as it is
           [--end-sessions]              ends every login of the time of the backup
           [--accept-loss]               goes on without files that the backup has lost
       bunkhouse backup restore --cancel gives up a restore that waits for the next start
       bunkhouse backup prune [--dry-run] [--json]
       bunkhouse backup key show | prove | new --to FILE | change --passphrase-stdin

Works with the server stopped or running, and on a machine that has nothing but BACKUP_URL: "restore latest" rebuilds the system
there. Encrypted backups are read with BACKUP_PASSPHRASE, or with the age identity in --identity FILE.
"restore" makes everything ready beside the data and checks it; the next start of the server puts it in place and keeps what was
there before. "verify" reads everything unless told otherwise, lists all damage and exits with 1 when there is any;
--test-restore starts a server on the backup in a scratch directory and compares files.`,
  async run([action, ...args]) {
    const act = action !== undefined && Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw new CommandError(`say "backup ${Object.keys(ACTIONS).join('", "backup ')}"`);
    return act(args);
  },
};

const ACTIONS: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  create: createBackup,
  list: listBackups,
  show: showBackup,
  verify: verifyBackup,
  restore: restoreBackup,
  prune: pruneBackups,
  key: keyCommand,
};
