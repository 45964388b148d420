import { createParseChild } from '../modules/parse/child.ts';
import type { Syntax } from '../modules/parse/js-source.ts';
import { serveJobs } from './serve-jobs.ts';

const transpilers = new Map<Syntax, Bun.Transpiler>();
/** No package: it marks the imports that the transpiler adds for JSX. */
const RUNTIME = '%jsx';

function transpilerOf(loader: Syntax): Bun.Transpiler {
  const tsconfig = JSON.stringify({ compilerOptions: { jsx: 'react-jsx', jsxImportSource: RUNTIME } });
  const known = transpilers.get(loader) ?? new Bun.Transpiler({ loader, tsconfig });
  transpilers.set(loader, known);
  return known;
}

/** The imports that stand in the source; those for JSX come last and are left out. */
function scanImports(source: Uint8Array, syntax: Syntax) {
  const found = transpilerOf(syntax).scanImports(source);
  const added = found.findIndex(({ path }) => path.startsWith(RUNTIME));
  return added === -1 ? found : found.slice(0, added);
}

/** A child that reads sources of strangers: parsers live here and nowhere else. */
serveJobs(
  createParseChild({
    async html() {
      const [{ htmlViews }, { rewriterScan }] = await Promise.all([
        import('../modules/parse/html-views.ts'),
        import('../modules/parse/html-scan.ts'),
      ]);
      return htmlViews(rewriterScan(() => new HTMLRewriter() as never));
    },
    css: async () => (await import('../modules/parse/css-views.ts')).cssViews,
    js: async () => (await import('../modules/parse/js-views.ts')).jsViews(scanImports),
  }),
);
