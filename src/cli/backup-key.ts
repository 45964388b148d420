import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { generateIdentity, recipientOf } from '../modules/backups/age.ts';
import { openBackups, SHARED } from './backup-context.ts';
import { CommandError, print } from './command.ts';

const MIN_PASSPHRASE = 8;

/** `backup key`: what backups are encrypted with. */
export async function keyCommand([action = 'show', ...args]: string[]): Promise<number> {
  const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (!act) throw new CommandError(`say "backup key ${Object.keys(ACTIONS).join('", "backup key ')}"`);
  return act(args);
}

const ACTIONS: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  /** What new backups are encrypted to, and which of the present ones can be read here. */
  async show(args) {
    const { values } = parseArgs({ args, options: SHARED });
    const { config, repository } = await openBackups(process.env, values.identity);
    const { manifests } = await repository.snapshots();
    const mode =
      config.backupPassphrase !== undefined
        ? 'passphrase'
        : config.backupRecipient !== undefined
          ? 'recipient'
          : 'none';
    const readable = manifests.filter((manifest) => repository.canRead(manifest)).length;
    const shown = {
      place: repository.place,
      mode,
      recipient: repository.recipient,
      backups: manifests.length,
      readable,
    };
    print(values.json, shown, () => [
      `${repository.place}: encryption ${mode}${repository.recipient === null ? '' : `, to ${repository.recipient}`}`,
      `${readable} of ${manifests.length} backups can be read with the keys at hand`,
    ]);
    return readable === manifests.length ? 0 : 1;
  },

  /** Shows that what is encrypted from now on can be decrypted; needed once before the first backup to a recipient. */
  async prove(args) {
    const { values } = parseArgs({ args, options: SHARED });
    const { config, repository } = await openBackups(process.env, values.identity);
    if (config.backupPassphrase === undefined && config.backupRecipient === undefined)
      throw new CommandError('set BACKUP_RECIPIENT or BACKUP_PASSPHRASE: backups are not encrypted');
    await repository.initialise();
    print(values.json, { recipient: repository.recipient, proven: true }, () => [
      `what is encrypted to ${repository.recipient} can be decrypted`,
    ]);
    return 0;
  },

  /** Makes an age identity; the same as age-keygen does. */
  async new(args) {
    const { values } = parseArgs({
      args,
      options: { to: { type: 'string' }, json: { type: 'boolean', default: false } },
    });
    const { to: path } = values;
    if (path === undefined) throw new CommandError('say where the identity goes: --to FILE');
    const identity = await generateIdentity();
    const recipient = await recipientOf(identity);
    const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
    try {
      writeFileSync(path, text, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
      throw new CommandError(isThere ? `${path} exists already` : `${path} cannot be written`);
    }
    print(values.json, { recipient, path }, () => [
      `BACKUP_RECIPIENT=${recipient}`,
      `the identity is in ${path}: keep it off this machine, and more than once; without it the backups are lost`,
    ]);
    return 0;
  },

  /** Another passphrase for the same repository; the backups that are there stay readable with it. */
  async change(args) {
    const { values } = parseArgs({
      args,
      options: { ...SHARED, 'passphrase-stdin': { type: 'boolean', default: false } },
    });
    if (!values['passphrase-stdin'])
      throw new CommandError('--passphrase-stdin is needed: the new passphrase is read from there');
    if (loadConfig({ ...process.env, NODE_ENV: 'development' }).backupPassphrase === undefined)
      throw new CommandError('BACKUP_PASSPHRASE has to hold the passphrase that is valid now');
    const { repository } = await openBackups(process.env, values.identity);
    const passphrase = (await new Response(Bun.stdin.stream()).text()).replace(/\r?\n$/, '');
    if (passphrase.length < MIN_PASSPHRASE)
      throw new CommandError(`the passphrase must have at least ${MIN_PASSPHRASE} characters`);
    await repository.changePassphrase(passphrase);
    print(values.json, { changed: true }, () => [
      'the passphrase was changed: set BACKUP_PASSPHRASE to the new one wherever the server runs',
    ]);
    return 0;
  },
};
