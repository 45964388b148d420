import { createHash } from 'node:crypto';
import { createClient, register, type Tokens } from './client.ts';

/** What a server has acknowledged, and what must hold of it from then on. */
export interface Acknowledged {
  /** Accounts, by address. */
  readonly accounts: ReadonlyMap<string, Tokens>;
  /** Files that were kept, by id; gone when they were deleted. */
  readonly files: ReadonlyMap<string, AcknowledgedFile>;
}

export interface AcknowledgedFile {
  readonly owner: string;
  readonly name: string;
  readonly sha256: string;
}

export interface Load {
  /** Everything that was acknowledged up to now and is not being changed at this moment. */
  snapshot(): Acknowledged;
  /** Resolves when so many changes were acknowledged since the start. */
  reached(changes: number): Promise<void>;
  /** Ends it, whether the server still answers or not. */
  stop(): Promise<void>;
}

/** Several people who upload, replace and delete files without a pause. Their names start with `prefix`. */
export async function startLoad(url: string, prefix: string, people = 3): Promise<Load> {
  const call = createClient(url);
  const accounts = new Map<string, Tokens>();
  const files = new Map<string, AcknowledgedFile>();
  /** Being changed: either state of them may be what a backup has. */
  const unsettled = new Set<string>();
  let changes = 0;
  let isStopped = false;
  const waiting: { readonly changes: number; readonly resolve: () => void }[] = [];
  const count = () => {
    changes++;
    for (const each of waiting) if (changes >= each.changes) each.resolve();
  };

  const work = async (email: string, token: string): Promise<void> => {
    const own: string[] = [];
    for (let round = 0; !isStopped; round++) {
      const name = `${round}.txt`;
      // Now and then one that is written as it comes.
      const content = `${email} ${round} `.repeat(round % 7 === 0 ? 20_000 : 1 + (round % 50));
      const { json } = await call('PUT', `/api/files/by-name/${name}`, { token, body: content });
      const id = String(json['id']);
      files.set(id, { owner: email, name, sha256: createHash('sha256').update(content).digest('hex') });
      count();
      own.push(id);
      // One in four goes again; the others stay.
      const victim = own.at(-3);
      if (round % 4 !== 3 || victim === undefined) continue;
      unsettled.add(victim);
      await call('DELETE', `/api/files/${victim}`, { token });
      files.delete(victim);
      unsettled.delete(victim);
      count();
    }
  };
  const running: Promise<unknown>[] = [];
  for (let number = 0; number < people; number++) {
    const email = `${prefix}-${number}@example.org`;
    const tokens = await register(call, email);
    accounts.set(email, tokens);
    // The server is killed in the middle of it.
    running.push(work(email, tokens.access_token).catch(() => undefined));
  }
  return {
    snapshot: () => ({
      accounts: new Map(accounts),
      files: new Map([...files].filter(([id]) => !unsettled.has(id))),
    }),
    reached: (wanted) =>
      changes >= wanted ? Promise.resolve() : new Promise((resolve) => waiting.push({ changes: wanted, resolve })),
    async stop() {
      isStopped = true;
      await Promise.all(running);
    },
  };
}

/**
 * Compares a server with what was acknowledged, over HTTP: every account can act with the token that it has, every file is listed and
 * comes back with its content. Files that were deleted later may be there or not.
 * @returns what is wrong.
 */
export async function findLosses(
  url: string,
  { accounts, files }: Acknowledged,
  deletedSince: ReadonlySet<string> = new Set(),
): Promise<string[]> {
  const call = createClient(url);
  const losses: string[] = [];
  for (const [email, { access_token: token }] of accounts) {
    const me = await call('GET', '/api/auth/me', { token });
    if (me.status !== 200 || me.json['email'] !== email) losses.push(`${email} is answered with ${me.status}`);
  }
  for (const [id, { owner, name, sha256 }] of files) {
    if (deletedSince.has(id)) continue;
    const token = accounts.get(owner)?.access_token as string;
    const row = await call('GET', `/api/files/${id}`, { token });
    if (row.json['sha256'] !== sha256 || row.json['name'] !== name) losses.push(`${name} of ${owner}: ${row.status}`);
    const content = await call('GET', `/api/files/${id}/content`, { token, may5xx: true });
    if (createHash('sha256').update(content.text).digest('hex') !== sha256)
      losses.push(`the content of ${name} of ${owner}: ${content.status}`);
  }
  return losses;
}
