import type { Batch, ColumnSchema } from '../../values/batch.ts';
import { datumAt } from '../../values/column.ts';
import { formatDate, formatIso, formatTime, formatTimestamp } from '../../values/datetime.ts';
import { formatDecimal } from '../../values/decimal.ts';
import { formatInterval } from '../../values/interval.ts';
import { keyText, unpackMap, unpackRow } from '../../values/nested.ts';
import type { Datum, Interval, SqlType } from '../../values/types.ts';

/**
 * Rows as the JSON values of records. What is written is read back as the same datum by json-decoder.ts: BIGINT and
 * DECIMAL as exact number text, timestamps as ISO 8601 (timestamptz with Z), NaN and the infinities as strings, bytea
 * as base64, jsonb as it is. NULL is null.
 */
export function jsonOfDatum(type: SqlType, datum: Datum): string {
  if (datum === null) return 'null';
  switch (type.kind) {
    case 'boolean':
    case 'smallint':
    case 'integer':
    case 'bigint':
      return String(datum);
    case 'real':
    case 'double':
      // Object.is: JSON.stringify writes −0 as 0.
      if (Object.is(datum, -0)) return '-0';
      return Number.isFinite(datum) ? String(datum) : `"${String(datum)}"`;
    case 'decimal':
      return formatDecimal(datum as number | bigint, type.scale);
    case 'varchar':
    case 'uuid':
      return JSON.stringify(datum);
    case 'jsonb':
      return datum as string;
    case 'bytea': {
      const bytes = datum as Uint8Array;
      return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}"`;
    }
    case 'date':
      return `"${formatDate(datum as number)}"`;
    case 'time':
      return `"${formatTime(datum as number)}"`;
    case 'timestamp':
      return `"${formatTimestamp(datum as number | bigint, 'T')}"`;
    case 'timestamptz':
      return `"${formatIso(datum as number | bigint)}"`;
    case 'interval':
      return `"${formatInterval(datum as Interval)}"`;
    case 'array':
      return `[${(datum as readonly Datum[]).map((element) => jsonOfDatum(type.element, element)).join(',')}]`;
    case 'row':
      return `{${unpackRow(datum, type)
        .map((one, i) => `${JSON.stringify(type.fields[i].name)}:${jsonOfDatum(type.fields[i].type, one)}`)
        .join(',')}}`;
    case 'map':
      return `{${unpackMap(datum, type)
        .map(([key, value]) => `${JSON.stringify(keyText(key, type))}:${jsonOfDatum(type.value, value)}`)
        .join(',')}}`;
    case 'null':
      return 'null';
  }
}

/** One row, columns in order; as an object by column names, or as an array. */
export function encodeJsonRow(
  columns: readonly ColumnSchema[],
  row: readonly Datum[],
  form: 'object' | 'array' = 'object',
): Buffer {
  const parts = columns.map((column, i) => {
    const text = jsonOfDatum(column.type, row[i]);
    return form === 'array' ? text : `${JSON.stringify(column.name)}:${text}`;
  });
  return Buffer.from(form === 'array' ? `[${parts.join(',')}]` : `{${parts.join(',')}}`);
}

/** Every row of a batch as an object, whatever its weight; `columns` name and type the batch's columns. */
export function encodeJsonRows(columns: readonly ColumnSchema[], batch: Batch): Buffer[] {
  const names = columns.map((column, i) => `${i === 0 ? '{' : ','}${JSON.stringify(column.name)}:`);
  const out = new Array<Buffer>(batch.length);
  for (let row = 0; row < batch.length; row++) {
    let text = columns.length === 0 ? '{' : '';
    for (let c = 0; c < columns.length; c++) {
      text += names[c] + jsonOfDatum(columns[c].type, datumAt(batch.columns[c], row));
    }
    out[row] = Buffer.from(`${text}}`);
  }
  return out;
}
