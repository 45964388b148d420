import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AddressMap } from '../../kernel/address-map.ts';
import type { Clock } from '../../ports/clock.ts';
import { isBelow, type OpenedFile, type OpenFile, realPathOf } from '../../web/static-file.ts';
import { isScript, isSource, type PhpRules } from './rules.ts';
import type { PhpPath } from './url-path.ts';

export type PhpMode = 'files' | 'front-controller' | 'single-script';

/** What a path means. */
export type Target = ScriptTarget | FileTarget | { readonly kind: 'directory' } | { readonly kind: 'missing' };

/** A script that exists inside the root. */
export interface ScriptTarget {
  readonly kind: 'script';
  /** The root without symbolic links. */
  readonly root: string;
  /** From the root downwards. */
  readonly names: readonly string[];
  /** What follows the script in the path, with its slash; empty when nothing does. */
  readonly pathInfo: string;
}

export interface FileTarget {
  readonly kind: 'file';
  readonly name: string;
  readonly file: OpenedFile;
}

export interface ResolverOptions {
  readonly root: string;
  readonly mode: PhpMode;
  /** The script of a front controller; in `files` mode what answers for paths that are nothing on disk, if it was set. */
  readonly script: readonly string[] | null;
  /** Folders that symbolic links may lead to, beside the root. */
  readonly follow: readonly string[];
  readonly rules: PhpRules;
  readonly openFile: OpenFile;
  readonly clock: Clock;
}

/** A script that was found is believed to be there for so long. What was not found is looked for again every time. */
const BELIEVED_MS = 1_000;
const REMEMBERED = 2_000;
const MISSING = { kind: 'missing' } as const;

/** Finds out what a path means: a script with its PATH_INFO, a file to be sent, a folder, or nothing. */
export function createResolver(options: ResolverOptions): (path: PhpPath) => Target | Promise<Target> {
  const { mode, script, rules, openFile, clock } = options;
  const known = new AddressMap<{ readonly target: ScriptTarget; readonly at: number }>(REMEMBERED);

  /** A file or a folder under real roots only; `null` for everything else. */
  async function look(root: string, names: readonly string[]): Promise<Found | null> {
    const path = join(root, ...names);
    const real = isNothing(path) ? null : await realPathOf(path);
    if (real === null) return null;
    if (real !== root && !isBelow(real, root) && !(await isFollowed(real))) return null;
    const info = await stat(real).catch(() => null);
    if (info?.isFile()) return { kind: 'file', real };
    return info?.isDirectory() ? { kind: 'directory', real } : null;
  }

  const isBelieved = (at: number) => Math.abs(clock.now() - at) < BELIEVED_MS;

  let lastRoot: { readonly real: string; readonly at: number } | null = null;
  async function findRoot(): Promise<string | null> {
    if (lastRoot && isBelieved(lastRoot.at)) return lastRoot.real;
    const real = await realPathOf(options.root);
    lastRoot = real === null ? null : { real, at: clock.now() };
    return real;
  }

  /** Where the front controller was seen last. */
  let lastScript: { readonly root: string; readonly at: number } | null = null;
  async function hasScript(root: string, names: readonly string[]): Promise<boolean> {
    if (lastScript?.root === root && isBelieved(lastScript.at)) return true;
    const isThere = (await look(root, names))?.kind === 'file';
    lastScript = isThere ? { root, at: clock.now() } : null;
    return isThere;
  }

  async function isFollowed(real: string): Promise<boolean> {
    for (const folder of options.follow) {
      const followed = await realPathOf(folder);
      if (followed !== null && (real === followed || isBelow(real, followed))) return true;
    }
    return false;
  }

  async function send(real: string, name: string): Promise<Target> {
    const file = await openFile(real);
    return file ? { kind: 'file', name, file } : MISSING;
  }

  /** The front controller, when it is there. */
  async function fallBack(root: string, pathInfo: string): Promise<Target> {
    if (!script || !(await hasScript(root, script))) return MISSING;
    return { kind: 'script', root, names: script, pathInfo };
  }

  async function find(root: string, { segments, isDirectory }: PhpPath): Promise<Target> {
    const end = isDirectory ? '/' : '';
    if (script && mode !== 'files' && startsWith(segments, script)) {
      return fallBack(root, pathInfoOf(segments.slice(script.length), end));
    }
    if (mode === 'single-script') return fallBack(root, pathInfoOf(segments, end));

    const found = await look(root, segments);
    if (found && rules.isDenied(segments)) return MISSING;
    if (found?.kind === 'file' && !isDirectory) {
      const name = segments.at(-1) ?? '';
      if (!isScript(name)) return isSource(name) ? MISSING : send(found.real, name);
      if (mode === 'front-controller') return MISSING;
      return rules.mayRun(segments) ? { kind: 'script', root, names: segments, pathInfo: '' } : MISSING;
    }
    if (mode === 'front-controller') return fallBack(root, '');
    if (found?.kind === 'directory') return findIndex(root, segments, isDirectory);
    return (await findWithPathInfo(root, segments, end)) ?? fallBack(root, '');
  }

  async function findIndex(root: string, segments: readonly string[], isDirectory: boolean): Promise<Target> {
    for (const name of ['index.php', 'index.html']) {
      const names = [...segments, name];
      const index = await look(root, names);
      if (index?.kind !== 'file') continue;
      if (!isDirectory) return { kind: 'directory' };
      if (name === 'index.html') return send(index.real, name);
      return rules.mayRun(names) ? { kind: 'script', root, names, pathInfo: '' } : MISSING;
    }
    return fallBack(root, '');
  }

  /** The longest beginning of the path that is a script; only one can be a file, since a file has nothing below it. */
  async function findWithPathInfo(root: string, segments: readonly string[], end: string): Promise<Target | null> {
    for (let length = segments.length; length > 0; length--) {
      if (!isScript(segments[length - 1] ?? '')) continue;
      const names = segments.slice(0, length);
      if ((await look(root, names))?.kind !== 'file') continue;
      if (rules.isDenied(names) || !rules.mayRun(names)) return MISSING;
      return { kind: 'script', root, names, pathInfo: pathInfoOf(segments.slice(length), end) };
    }
    return null;
  }

  async function findAndRemember(key: string, path: PhpPath): Promise<Target> {
    const root = await findRoot();
    if (root === null) return MISSING;
    const target = await find(root, path);
    if (target.kind === 'script') known.set(key, { target, at: clock.now() });
    return target;
  }

  return (path) => {
    // Names hold no slash, so no two paths share a key.
    const key = `${path.segments.join('/')}${path.isDirectory ? '/' : ''}`;
    const entry = known.get(key);
    if (entry && isBelieved(entry.at)) return entry.target;
    return findAndRemember(key, path);
  };
}

/** Whether there is certainly nothing: a look that costs microseconds, where one from another thread costs tens of them. */
function isNothing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

interface Found {
  readonly kind: 'file' | 'directory';
  /** Without symbolic links. */
  readonly real: string;
}

function startsWith(segments: readonly string[], start: readonly string[]): boolean {
  return start.every((name, index) => segments[index] === name);
}

function pathInfoOf(rest: readonly string[], end: string): string {
  return rest.length === 0 ? end : `/${rest.join('/')}${end}`;
}
