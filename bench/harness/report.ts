/** One figure with what it was meant to be. Without a bound it is only reported. */
export interface Finding {
  readonly what: string;
  readonly value: number;
  readonly unit: 'ratio' | 'MB' | 'KB' | 'ms' | 'µs';
  readonly atLeast?: number;
  readonly atMost?: number;
  /** What one should know to judge the figure. */
  readonly aside?: string;
}

/** Collects what an area found, and writes it as the area's section of the results. */
export interface Report {
  find(finding: Finding): void;
  /** Adds a table of details below the findings. */
  table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void;
  note(text: string): void;
  /** Findings that missed their bound. */
  misses(): Finding[];
  toMarkdown(): string;
}

export function createReport(): Report {
  const findings: Finding[] = [];
  const details: string[] = [];
  const notes: string[] = [];
  return {
    find: (finding) => void findings.push(finding),
    table: (title, head, rows) => void details.push(`### ${title}\n\n${toTable(head, rows)}`),
    note: (text) => void notes.push(`- ${text}`),
    misses: () => findings.filter((finding) => isMet(finding) === false),
    toMarkdown: () => {
      const rows = findings.map((finding) => [
        finding.what,
        show(finding, finding.value),
        target(finding),
        verdict(finding),
        finding.aside ?? '',
      ]);
      const parts = [toTable(['what', 'figure', 'target', 'verdict', 'beside it'], rows), ...details];
      if (notes.length > 0) parts.push(`### Notes\n\n${notes.join('\n')}`);
      return `${parts.join('\n\n')}\n`;
    },
  };
}

/** Three significant digits, without an exponent. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, 3));
}

export function megabytes(bytes: number): number {
  return bytes / 2 ** 20;
}

function isMet({ value, atLeast, atMost }: Finding): boolean | undefined {
  if (atLeast !== undefined) return value >= atLeast;
  if (atMost !== undefined) return value <= atMost;
  return undefined;
}

function verdict(finding: Finding): string {
  const met = isMet(finding);
  return met === undefined ? 'reported' : met ? 'met' : '**missed**';
}

function target(finding: Finding): string {
  if (finding.atLeast !== undefined) return `≥ ${show(finding, finding.atLeast)}`;
  if (finding.atMost !== undefined) return `≤ ${show(finding, finding.atMost)}`;
  return '–';
}

function show({ unit }: Finding, value: number): string {
  return unit === 'ratio' ? `${value.toFixed(2)} ×` : `${figure(value)} ${unit}`;
}

function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
