import { bundleView } from './css-bundle.ts';
import type { cssOptions } from './css-options.ts';
import { statsView } from './css-stats.ts';
import { dependenciesView, formatView, minifyView, targetsView } from './css-transform.ts';
import { criticalView, unusedView } from './css-usage.ts';
import type { View } from './view.ts';

/** Every way to look at a stylesheet. */
export const cssViews: Readonly<Record<keyof typeof cssOptions, View>> = {
  minify: minifyView,
  format: formatView,
  targets: targetsView,
  bundle: bundleView,
  stats: statsView,
  dependencies: dependenciesView,
  unused: unusedView,
  critical: criticalView,
};
