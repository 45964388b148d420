import { articleView, markdownView } from './html-article.ts';
import { assetsView, linksView } from './html-links.ts';
import { metaView } from './html-meta.ts';
import { minifyView } from './html-minify.ts';
import type { htmlOptions } from './html-options.ts';
import { rewriteView } from './html-rewrite.ts';
import type { Scan } from './html-scan.ts';
import { selectView } from './html-select.ts';
import { formsView, outlineView, tablesView } from './html-structure.ts';
import { textView } from './html-text.ts';
import { treeView } from './html-tree-view.ts';
import { validateView } from './html-validate.ts';
import type { View } from './view.ts';

/** Every way to look at a page. */
export function htmlViews(scan: Scan): Readonly<Record<keyof typeof htmlOptions, View>> {
  return {
    meta: metaView(scan),
    links: linksView(scan),
    assets: assetsView(scan),
    outline: outlineView,
    tables: tablesView,
    forms: formsView,
    select: selectView,
    article: articleView,
    markdown: markdownView,
    text: textView,
    tree: treeView,
    rewrite: rewriteView,
    minify: minifyView,
    validate: validateView,
  };
}
