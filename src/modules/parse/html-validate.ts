import { defaultTreeAdapter, type ParserError, parse } from 'parse5';
import { PAGE_LIMITS, withLimits } from './html-limits.ts';
import { withinLimits } from './html-page.ts';
import type { Warning } from './job.ts';
import type { View } from './view.ts';

/** Most errors that are listed. */
const MAX_ERRORS = 1000;

/** The parse errors of a page, by the names of the HTML Standard (§13.2.2). */
export const validateView: View = ({ text }) => {
  const errors: Warning[] = [];
  let total = 0;
  const onParseError = ({ code, startLine, startCol, startOffset, endOffset }: ParserError) => {
    total++;
    if (errors.length === MAX_ERRORS) return;
    const length = endOffset - startOffset;
    const place = { line: startLine, column: startCol, ...(length > 0 ? { length } : {}) };
    errors.push({ code, message: code.replaceAll('-', ' '), ...place });
  };
  // Places are kept in parse5's own nodes: asking linkedom for its children over and over takes time that grows with the square.
  withinLimits(() => parse(text, { onParseError, treeAdapter: withLimits(defaultTreeAdapter, PAGE_LIMITS) }));
  return { result: { isValid: total === 0, total, errors }, warnings: [] };
};
