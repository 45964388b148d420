import { bundleAsync } from 'lightningcss';
import { assertShallow, CSS_BRACKETS } from './bracket-depth.ts';
import { syntaxError, targetsOf, toWarnings } from './css-transform.ts';
import { parseProblems } from './problems.ts';
import type { View } from './view.ts';

interface BundleOptions {
  readonly files: Readonly<Record<string, string>>;
  readonly minify: boolean;
  readonly targets?: string;
  readonly sourceMap: boolean;
}

/** The name of the source among the files. */
const ENTRY = 'source.css';

/** The stylesheet with those that it imports put in their places. Only the files that were sent are known; no other is read. */
export const bundleView: View = async (input) => {
  const { files, minify, targets, sourceMap } = input.options as BundleOptions;
  const sources = new Map([...Object.entries(files), [ENTRY, input.text] as const]);
  for (const source of sources.values()) assertShallow(new TextEncoder().encode(source), CSS_BRACKETS);
  let missing: string | null = null;
  try {
    const { code, map, warnings } = await bundleAsync({
      filename: ENTRY,
      minify,
      sourceMap,
      errorRecovery: true,
      ...targetsOf(targets),
      resolver: {
        resolve(specifier, from) {
          // What lies elsewhere stays an import.
          if (/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(specifier)) return { external: specifier };
          const name = resolveName(specifier, from);
          if (!sources.has(name)) missing ??= name;
          return name;
        },
        read: (name) => sources.get(name) ?? '',
      },
    });
    if (missing !== null)
      throw parseProblems.create('syntax', { detail: 'The stylesheet imports a file that was not sent.' });
    const result = {
      code,
      bytesAfter: code.byteLength,
      ...(map ? { sourceMap: JSON.parse(new TextDecoder().decode(map)) as unknown } : {}),
    };
    return { result, warnings: toWarnings(warnings) };
  } catch (error) {
    throw syntaxError(error);
  }
};

/** A path relative to the file that names it, without leaving the top. */
function resolveName(specifier: string, from: string): string {
  const path: string[] = specifier.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const segment of specifier.replace(/[?#].*$/, '').split('/')) {
    if (segment === '..') path.pop();
    else if (segment !== '.' && segment !== '') path.push(segment);
  }
  return path.join('/');
}
