import type { FieldFault } from '../../kernel/errors.ts';
import type { parseProblems } from './problems.ts';

export type Language = 'html' | 'css' | 'js';
export const LANGUAGES: readonly Language[] = ['html', 'css', 'js'];

/** Which view of the source is wanted, and its options: checked, with defaults filled in. */
export interface ParseRequest {
  readonly view: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * What a child is asked. The parent looks into a body only where it must: decoding, checking and reading megabytes is the child's
 * work too, so that it freezes nobody.
 */
export interface ParseJob {
  readonly language: Language;
  /** The source, or a body that holds it. */
  readonly bytes: Uint8Array;
  /** As it was sent or stored. */
  readonly contentType: string | null;
  /** Where the source is from, for its relative addresses. */
  readonly url: string | null;
  /** `null` when the body says what is wanted, or the query beside it. */
  readonly request: ParseRequest | null;
  readonly query: Readonly<Record<string, string>>;
  /** Most bytes of source. */
  readonly maxBytes: number;
}

/** A place in the source worth knowing of. Lines and columns start at 1, columns count UTF-16 units. */
export interface Warning {
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
  readonly length?: number;
  readonly code?: string;
}

/** What a child answers. */
export type ParseResult =
  | {
      readonly status: 'read';
      readonly view: string;
      /** JSON in UTF-8: `"result":…,"warnings":[…]`. Made by the child, sent as it is. */
      readonly members: Uint8Array;
    }
  | {
      readonly status: 'refused';
      /** A row of {@link parseProblems}, or the request itself is at fault. */
      readonly problem: keyof (typeof parseProblems)['rows'] | 'invalid-request' | 'malformed-json' | 'malformed-body';
      readonly detail?: string | undefined;
      readonly faults?: readonly FieldFault[] | undefined;
    };
