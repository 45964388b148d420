import { users } from '../../src/db/schema/auth.ts';
import type { Role } from '../../src/kernel/caller.ts';
import { uuidv7 } from '../../src/kernel/ids.ts';
import { accessProblems } from '../../src/kernel/problems.ts';
import type { Database } from '../../src/ports/database.ts';
import type { Identity } from '../../src/web/gate.ts';

/** Who has an account in tests of modules, and as what. */
const PEOPLE = { alice: 'user', bob: 'user', root: 'admin' } as const satisfies Record<string, Role>;
export type Person = keyof typeof PEOPLE;
export type PersonIds = Readonly<Record<Person, string>>;

export function newPersonIds(): PersonIds {
  return { alice: uuidv7(), bob: uuidv7(), root: uuidv7() };
}

/** Gives everybody an account. */
export async function insertPeople(database: Database, ids: PersonIds): Promise<void> {
  const accounts = Object.entries(PEOPLE).map(([name, role]) => {
    const id = ids[name as Person];
    return { id, email: `${name}@example.org`, role, passwordHash: '', createdAt: 0, updatedAt: 0 };
  });
  await database.write((tx) => tx.insert(users).values(accounts));
}

/** Callers say who they are by name: `Authorization: Bearer alice`, or `server` for the server's key. */
export function identifyByName(ids: PersonIds): (request: Request) => Identity {
  return (request) => {
    const name = request.headers.get('authorization')?.slice('Bearer '.length);
    if (name === undefined) return { caller: null, fault: null };
    if (name === 'server') return { caller: { kind: 'server', id: 'server', role: 'admin' }, fault: null };
    if (!(name in PEOPLE)) return { caller: null, fault: accessProblems.create('invalid-token') };
    const person = name as Person;
    const [id, role] = [ids[person], PEOPLE[person]];
    const account = { id, role, email: `${name}@example.org`, name, emailVerified: true, createdAt: '' };
    return { caller: { kind: 'user', id, role, account, sessionId: 'x', via: 'bearer' }, fault: null };
  };
}
