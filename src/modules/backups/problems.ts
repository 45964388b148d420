import { defineProblems } from '../../kernel/errors.ts';

/** Failures of taking, keeping and giving back backups. */
export const backupProblems = defineProblems('backups', {
  'not-found': { status: 404, title: 'No such backup', detail: 'There is no backup of this id that you may use.' },
  busy: {
    status: 409,
    title: 'Repository busy',
    detail: 'Somebody else works on the backup repository in a way that excludes this. Try again later.',
  },
  'lease-lost': {
    status: 409,
    title: 'Interrupted for too long',
    detail: 'The work stood still for so long that others took it for dead. Nothing was lost; start it again.',
  },
  damaged: {
    status: 500,
    title: 'Backup damaged',
    detail: 'An object of the backup is not what was stored. Verify the backup to see all that is damaged.',
  },
  'damaged-write': {
    status: 500,
    title: 'Backup storage is not reliable',
    detail: 'What was just stored comes back different. The backup was given up; check the disk or the bucket.',
  },
  'wrong-content': {
    status: 409,
    title: 'Content changed',
    detail: 'Something that was to be backed up does not have the hash that is on record for it.',
  },
  'no-room': { status: 507, title: 'No room', detail: 'There is not enough room for this. Nothing was kept.' },
  'damaged-database': {
    status: 500,
    title: 'Database damaged',
    detail: 'A database is damaged, so no backup of it was made. Restore the newest good one.',
  },
  'in-memory': {
    status: 409,
    title: 'Nothing to back up',
    detail: 'The main database is in memory and ends with the server, so no backup can be made of it.',
  },
  'newer-format': {
    status: 409,
    title: 'Newer format',
    detail: 'The backup was made by a newer version, whose format this one does not know. Update first.',
  },
  'newer-schema': {
    status: 409,
    title: 'Newer schema',
    detail: 'The database in the backup was made by a newer version than this one. Update first.',
  },
  'wrong-key': {
    status: 422,
    title: 'Wrong key',
    detail: 'The backup cannot be decrypted with the passphrase or identity that was given.',
  },
  'unproven-key': {
    status: 409,
    title: 'Key not proven',
    detail:
      'Before the first backup is encrypted to BACKUP_RECIPIENT, show that you have its identity: run "bunkhouse backup key prove ' +
      '--identity FILE" once, where the file is. Whoever loses the identity loses the backups.',
  },
  'remote-database': {
    status: 409,
    title: 'Not a database in a file',
    detail:
      'The database is not in a file of this machine. Restore it to a file with --to FILE and load it where it lives.',
  },
  occupied: { status: 409, title: 'Occupied', detail: 'There is something else already where this would go.' },
  'needs-key': {
    status: 422,
    title: 'Encrypted',
    detail: 'The backup is encrypted. Set BACKUP_PASSPHRASE, or give the identity with --identity FILE.',
  },
  'too-many': {
    status: 409,
    title: 'Too many backups',
    detail: 'You keep as many backups as this server allows. Delete one that you no longer need.',
  },
  'too-many-downloads': {
    status: 429,
    title: 'Too many downloads',
    detail: 'A backup of yours is being downloaded, or others take all places. Try again when that is done.',
  },
  'in-progress': {
    status: 409,
    title: 'Backup in progress',
    detail: 'This is being worked on. Try again when its status is done or failed.',
  },
  'not-kept': {
    status: 409,
    title: 'Nothing to restore from',
    detail: 'This backup was never finished, so there is nothing in it.',
  },
  'last-good': {
    status: 409,
    title: 'Last good backup',
    detail: 'This is the newest backup that is known to be good. Make another one before you delete it.',
  },
  'no-archive': {
    status: 422,
    title: 'No such archive',
    detail: 'There is no file of this id that you may read. Upload the archive as a file first.',
  },
  'unknown-files': {
    status: 422,
    title: 'No such files',
    detail: 'Some of the files are not in this backup. Nothing was restored.',
  },
  interrupted: {
    status: 500,
    title: 'Interrupted',
    detail: 'The server was stopped during this work several times. Start it again when it runs well.',
  },
  'refused-archive': { status: 422, title: 'Archive refused', detail: 'The archive was not taken.' },
});
