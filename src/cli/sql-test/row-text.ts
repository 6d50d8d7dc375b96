import type { Batch, ColumnSchema } from '../../values/batch.ts';
import { datumAt } from '../../values/column.ts';
import { datumToText } from '../../values/text.ts';

/** A row on one line: values as Postgres prints them with ` | ` between; NULL, and text that could be mistaken in JSON quotes. */
export function rowText(columns: readonly ColumnSchema[], batch: Batch, row: number): string {
  const fields: string[] = [];
  columns.forEach((column, c) => {
    if (column.hidden) return;
    const datum = datumAt(batch.columns[c], row);
    fields.push(datum === null ? 'NULL' : quoted(datumToText(datum, column.type)));
  });
  return fields.join(' | ');
}

const quoted = (text: string): string =>
  text === '' || text === 'NULL' || text !== text.trim() || /[\p{Cc}|"]/u.test(text) ? JSON.stringify(text) : text;
