import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../harness/tools.ts';

const PEERS_DIR = join(dirname(import.meta.dir), '.peers');
/** Native packages may have to be compiled. */
const INSTALL_TIMEOUT_MS = 15 * 60_000;

/**
 * Installs a peer's npm packages at pinned versions into `bench/.peers/<name>`, unless they are there. They are no
 * dependencies of the project. Gives `name version` of each.
 */
export async function installPeer(name: string, packages: Readonly<Record<string, string>>): Promise<string[]> {
  const dir = join(PEERS_DIR, name);
  const missing = await Promise.all(
    Object.entries(packages).map(async ([each, version]) => (await installedVersion(dir, each)) !== version),
  );
  if (missing.includes(true)) {
    mkdirSync(dir, { recursive: true });
    await Bun.write(join(dir, 'package.json'), JSON.stringify({ private: true, dependencies: packages }, null, 2));
    console.error(`installing the peer ${name} (compiles for some minutes where no prebuilt binary is to be had)`);
    await run(['npm', 'install', '--no-audit', '--no-fund', '--no-package-lock'], INSTALL_TIMEOUT_MS, dir);
  }
  return Object.entries(packages).map(([each, version]) => `${each} ${version}`);
}

async function installedVersion(dir: string, name: string): Promise<string | undefined> {
  const manifest = Bun.file(join(dir, 'node_modules', name, 'package.json'));
  if (!(await manifest.exists())) return undefined;
  return ((await manifest.json()) as { version?: string }).version;
}
