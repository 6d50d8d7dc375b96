import { StreamError } from '../lib/errors.ts';

/** Rows as people or programs want them; data goes to stdout, messages to stderr. */
export const FORMATS = ['table', 'json', 'ndjson', 'csv', 'tsv', 'markdown'] as const;
export type Format = (typeof FORMATS)[number];

export interface Table {
  readonly columns: readonly { readonly name: string; readonly type?: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

export function parseFormat(text: string): Format {
  const found = FORMATS.find((format) => format === text);
  if (found === undefined)
    throw new StreamError('OPTION_INVALID', `--format ${text}: expected one of ${FORMATS.join(', ')}`);
  return found;
}

export function formatTable(table: Table, format: Format): string {
  switch (format) {
    case 'json':
      return `${JSON.stringify(
        table.rows.map((row) => asObject(table, row)),
        null,
        2,
      )}\n`;
    case 'ndjson':
      return table.rows.map((row) => `${JSON.stringify(asObject(table, row))}\n`).join('');
    case 'csv':
      return delimited(table, ',', (field) =>
        field === '' || /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field,
      );
    case 'tsv':
      return delimited(table, '\t', (field) =>
        field.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r'),
      );
    case 'markdown':
      return markdown(table);
    case 'table':
      return aligned(table);
  }
}

function asObject(table: Table, row: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(table.columns.map(({ name }, i) => [name, row[i]]));
}

const cell = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function delimited(table: Table, by: string, quote: (field: string) => string): string {
  const line = (fields: readonly string[]): string => `${fields.join(by)}\n`;
  return (
    line(table.columns.map(({ name }) => quote(name))) +
    table.rows.map((row) => line(row.map((value) => (value === null ? '' : quote(cell(value)))))).join('')
  );
}

function markdown(table: Table): string {
  const line = (fields: readonly string[]): string =>
    `| ${fields.map((field) => field.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |\n`;
  return (
    line(table.columns.map(({ name }) => name)) +
    line(table.columns.map(() => '---')) +
    table.rows.map((row) => line(row.map((value) => (value === null ? '' : cell(value))))).join('')
  );
}

const RIGHT_ALIGNED = /^(smallint|integer|bigint|decimal.*|real|double)$/;
const WIDEST_CELL = 60;

/** Columns padded to their widest value, numbers to the right, NULL as ∅, a line with the row count below. A lone column is shown whole. */
function aligned(table: Table): string {
  const widest = table.columns.length === 1 ? Number.POSITIVE_INFINITY : WIDEST_CELL;
  const shown = table.rows.map((row) => row.map((value) => (value === null ? '∅' : clip(cell(value), widest))));
  const widths = table.columns.map(({ name }, i) =>
    shown.reduce((width, row) => Math.max(width, row[i].length), name.length),
  );
  const pad = (text: string, i: number): string =>
    RIGHT_ALIGNED.test(table.columns[i].type ?? '') ? text.padStart(widths[i]) : text.padEnd(widths[i]);
  const line = (fields: readonly string[]): string => `${fields.map(pad).join('  ').trimEnd()}\n`;
  const count = `(${table.rows.length} ${table.rows.length === 1 ? 'row' : 'rows'})\n`;
  return (
    line(table.columns.map(({ name }) => name)) +
    `${widths.map((width) => '─'.repeat(width)).join('  ')}\n` +
    shown.map(line).join('') +
    count
  );
}

function clip(text: string, widest: number): string {
  const oneLine = text.replace(/[\r\n\t]/g, ' ');
  return oneLine.length > widest ? `${oneLine.slice(0, widest - 1)}…` : oneLine;
}
