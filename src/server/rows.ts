import type { Batch, ColumnSchema } from '../values/batch.ts';
import { datumAt } from '../values/column.ts';
import { datumToJson } from '../values/json.ts';
import { datumToText } from '../values/text.ts';
import { typeName } from '../values/types.ts';

/** Answers in the forms that clients ask for; each yields pieces so that a large answer is never one string. */

export const columnsJson = (columns: readonly ColumnSchema[]) =>
  columns.map(({ name, type }) => ({ name, type: typeName(type) }));

export function rowJson(columns: readonly ColumnSchema[], batch: Batch, row: number): unknown[] {
  return columns.map((column, c) => datumToJson(datumAt(batch.columns[c], row), column.type));
}

export function rowObject(columns: readonly ColumnSchema[], batch: Batch, row: number): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  columns.forEach((column, c) => {
    out[column.name] = datumToJson(datumAt(batch.columns[c], row), column.type);
  });
  return out;
}

export function allRowsJson(columns: readonly ColumnSchema[], batches: readonly Batch[]): unknown[][] {
  const rows: unknown[][] = [];
  for (const batch of batches) for (let i = 0; i < batch.length; i++) rows.push(rowJson(columns, batch, i));
  return rows;
}

const ROWS_PER_PIECE = 1000;

/** Lines of JSON objects. */
export function* ndjson(columns: readonly ColumnSchema[], batches: readonly Batch[]): Generator<string> {
  yield* pieces(batches, (batch, row) => `${JSON.stringify(rowObject(columns, batch, row))}\n`);
}

/** RFC 4180 with a header line; NULL is empty, an empty string is "". */
export function* csv(columns: readonly ColumnSchema[], batches: readonly Batch[]): Generator<string> {
  yield `${columns.map((column) => csvField(column.name)).join(',')}\r\n`;
  yield* pieces(
    batches,
    (batch, row) =>
      `${columns
        .map((column, c) => {
          const datum = datumAt(batch.columns[c], row);
          return datum === null ? '' : csvField(datumToText(datum, column.type));
        })
        .join(',')}\r\n`,
  );
}

const csvField = (text: string): string =>
  text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

function* pieces(batches: readonly Batch[], line: (batch: Batch, row: number) => string): Generator<string> {
  for (const batch of batches) {
    for (let from = 0; from < batch.length; from += ROWS_PER_PIECE) {
      let piece = '';
      for (let row = from; row < Math.min(batch.length, from + ROWS_PER_PIECE); row++) piece += line(batch, row);
      yield piece;
    }
  }
}
