import { astView, errorsView, statsView } from './js-inspect.ts';
import { exportsView, type ImportScanner, importsView } from './js-modules.ts';
import type { jsOptions } from './js-options.ts';
import { minifyView, transformView } from './js-transform.ts';
import type { View } from './view.ts';

/** Every way to look at a program. */
export function jsViews(scanImports: ImportScanner): Readonly<Record<keyof typeof jsOptions, View>> {
  return {
    imports: importsView(scanImports),
    exports: exportsView,
    transform: transformView,
    minify: minifyView,
    ast: astView,
    errors: errorsView,
    stats: statsView,
  };
}
