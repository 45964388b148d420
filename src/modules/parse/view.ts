import type { TObject } from '@sinclair/typebox';
import type { SourceText } from './charset.ts';
import type { Warning } from './job.ts';

/** What a view is given. */
export interface ViewInput extends SourceText {
  /** Where the source is from; `null` when nobody says. */
  readonly url: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: checked against the schema that stands beside the view
  readonly options: any;
}

/** What a view gives: a value that JSON can carry. */
export interface ViewOutput {
  /** Byte arrays among its properties are texts in UTF-8. */
  readonly result: unknown;
  readonly warnings: readonly Warning[];
}

/** One way to look at a source. It throws problems of the `parse` table for what the source is at fault of. */
export type View = (input: ViewInput) => ViewOutput | Promise<ViewOutput>;

/** The options of every view of a language; the first is the default view. */
export type ViewOptions = Readonly<Record<string, TObject>>;
