import type { ColumnSchema } from './batch.ts';
import { BIGINT, BOOLEAN, INTEGER, JSONB, TIMESTAMP, VARCHAR } from './types.ts';

/** Appended to every source's and table's columns, after the declared ones, in this order. */
export const HIDDEN_COLUMNS: readonly ColumnSchema[] = [
  { name: '_topic', type: VARCHAR, nullable: false, hidden: true },
  { name: '_partition', type: INTEGER, nullable: false, hidden: true },
  { name: '_offset', type: BIGINT, nullable: false, hidden: true },
  /** The record's own timestamp. */
  { name: '_timestamp', type: TIMESTAMP, nullable: false, hidden: true },
  /** The record key read as UTF-8. */
  { name: '_key', type: VARCHAR, nullable: true, hidden: true },
  /** `[["name","value"], …]`, values read as UTF-8. */
  { name: '_headers', type: JSONB, nullable: false, hidden: true },
];

/** Of sources alone, after those: the greatest `_timestamp` of the partition's records up to and with this one. */
export const STREAM_TIME: ColumnSchema = { name: '_stream_time', type: TIMESTAMP, nullable: false, hidden: true };

export const SOURCE_HIDDEN_COLUMNS: readonly ColumnSchema[] = [...HIDDEN_COLUMNS, STREAM_TIME];

/** After the columns of a table in `<table>$history`, which has a row for each version of each of the table's rows. */
export const HISTORY_COLUMNS: readonly ColumnSchema[] = [
  /** From when on it counts. */
  { name: '_version', type: TIMESTAMP, nullable: false, hidden: true },
  /** Whether the row was deleted then; only key and hidden columns are there. */
  { name: '_deleted', type: BOOLEAN, nullable: false, hidden: true },
];

/** The columns of `<table>$history`: a row that deletes has the key alone. */
export const historyColumns = (columns: readonly ColumnSchema[], key: readonly number[]): ColumnSchema[] => [
  ...columns.map((column, i) => (column.hidden || key.includes(i) ? column : { ...column, nullable: true })),
  ...HISTORY_COLUMNS,
];

/** The columns of `<object>$errors` and `<source>$late`. */
export const DEAD_LETTER_COLUMNS: readonly ColumnSchema[] = [
  { name: 'code', type: VARCHAR, nullable: false },
  { name: 'reason', type: VARCHAR, nullable: false },
  { name: 'topic', type: VARCHAR, nullable: false },
  { name: 'partition', type: INTEGER, nullable: false },
  { name: 'offset', type: BIGINT, nullable: false },
  { name: 'timestamp', type: TIMESTAMP, nullable: false },
  /** The record's value read as UTF-8, of an operator its input row as JSON; cut to 8 KiB. */
  { name: 'value', type: VARCHAR, nullable: true },
  /** What could not use it: an operator's id and name, as EXPLAIN ANALYZE and the pipeline page call it; `decode` for a source. */
  { name: 'operator', type: VARCHAR, nullable: false },
];
