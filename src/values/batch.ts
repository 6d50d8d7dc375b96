import { type Column, ColumnBuilder, type ColumnValues, datumAt, PlainColumn } from './column.ts';
import type { Datum, SqlType } from './types.ts';

/** A column as the catalogue knows it. */
export interface ColumnSchema {
  readonly name: string;
  readonly type: SqlType;
  /** False only where NULL is proven impossible. */
  readonly nullable: boolean;
  /** `_offset` and its like: there when named, absent from `*`. */
  readonly hidden?: boolean;
}

/**
 * Row changes, column-wise. A row with weight +2 comes twice, with −1 goes once; `weights === null` means that every
 * weight is +1. Order within a batch carries no meaning and weights of one row may cancel. Weights are never 0.
 */
export interface Batch {
  readonly length: number;
  readonly columns: readonly Column[];
  readonly weights: Int32Array | null;
  /** Set on batches as a source hands them out: the records of the rows. Valid only while the batch is being handed on. */
  readonly origin?: BatchOrigin;
  /** 1 for rows that are late but count, where a source's batch has some. Valid as long as `origin` is. */
  readonly late?: Uint8Array;
}

/** Where the rows of a batch are in the log, row by row. */
export interface BatchOrigin {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: Float64Array;
  readonly timestampsMs: Float64Array;
}

export const weightAt = (batch: Batch, row: number): number => (batch.weights === null ? 1 : batch.weights[row]);

export function rowAt(batch: Batch, row: number): Datum[] {
  return batch.columns.map((column) => datumAt(column, row));
}

/** For tests and edges, not for hot paths. */
export function batchOfRows(
  types: readonly SqlType[],
  rows: readonly (readonly Datum[])[],
  weights?: readonly number[],
): Batch {
  const columns = types.map((type, c) => {
    const builder = new ColumnBuilder(type, rows.length);
    for (const row of rows) builder.push(row[c]);
    return builder.finish();
  });
  return { length: rows.length, columns, weights: weights === undefined ? null : Int32Array.from(weights) };
}

export function gatherBatch(batch: Batch, rows: Int32Array, count: number): Batch {
  let weights: Int32Array | null = null;
  if (batch.weights !== null) {
    weights = new Int32Array(count);
    for (let i = 0; i < count; i++) weights[i] = batch.weights[rows[i]];
  }
  return { length: count, columns: batch.columns.map((column) => column.gather(rows, count)), weights };
}

/** The rows of all batches, which have these types. */
export function concatBatches(types: readonly SqlType[], batches: readonly Batch[]): Batch {
  const filled = batches.filter(({ length }) => length > 0);
  if (filled.length === 1) return filled[0];
  const length = filled.reduce((sum, batch) => sum + batch.length, 0);
  let weights: Int32Array | null = null;
  if (filled.some((batch) => batch.weights !== null)) {
    weights = new Int32Array(length).fill(1);
    let at = 0;
    for (const batch of filled) {
      if (batch.weights !== null) weights.set(batch.weights.subarray(0, batch.length), at);
      at += batch.length;
    }
  }
  const columns = types.map((type, c) => {
    const parts = filled.map((batch) => batch.columns[c]);
    const joined = joinedColumn(type, parts, length);
    if (joined !== null) return joined;
    const builder = new ColumnBuilder(type, length);
    for (const part of parts) for (let row = 0; row < part.length; row++) builder.push(datumAt(part, row));
    return builder.finish();
  });
  return { length, columns, weights };
}

/** Columns whose values are of one kind of array, end to end; null for others. */
function joinedColumn(type: SqlType, parts: readonly Column[], length: number): Column | null {
  if (!parts.every((part) => part instanceof PlainColumn)) return null;
  const values = joinedValues(
    parts.map((part) => part.values),
    parts,
    length,
  );
  if (values === null) return null;
  let nulls: Uint8Array | null = null;
  let at = 0;
  for (const part of parts) {
    if (part.nulls !== null) {
      nulls ??= new Uint8Array(length);
      nulls.set(part.nulls.subarray(0, part.length), at);
    }
    at += part.length;
  }
  return new PlainColumn(type, length, values, nulls);
}

function joinedValues(all: readonly ColumnValues[], parts: readonly Column[], length: number): ColumnValues | null {
  for (const kind of [Float64Array, Int32Array, Uint8Array] as const) {
    if (!all.every((values) => values instanceof kind)) continue;
    const out = new kind(length);
    let at = 0;
    all.forEach((values, i) => {
      out.set((values as Float64Array).subarray(0, parts[i].length), at);
      at += parts[i].length;
    });
    return out;
  }
  if (!all.every((values) => Array.isArray(values))) return null;
  return ([] as Datum[]).concat(
    ...all.map((values, i) =>
      values.length === parts[i].length ? (values as Datum[]) : (values.slice(0, parts[i].length) as Datum[]),
    ),
  );
}

export function firstRows(batch: Batch, limit: number): Batch {
  if (batch.length <= limit) return batch;
  return gatherBatch(
    batch,
    Int32Array.from({ length: limit }, (_, row) => row),
    limit,
  );
}

/** A row of weight n as n rows. */
export function copied(batch: Batch): Batch {
  const { weights } = batch;
  if (weights === null) return batch;
  const rows: number[] = [];
  for (let row = 0; row < batch.length; row++) for (let copy = 0; copy < weights[row]; copy++) rows.push(row);
  return gatherBatch({ ...batch, weights: null }, Int32Array.from(rows), rows.length);
}

/** The rows whose weight has the sign. */
export function ofSign(batch: Batch, sign: number): Batch {
  const { weights, length } = batch;
  if (weights === null) return sign === 1 ? batch : { ...batch, length: 0 };
  const rows = Int32Array.from({ length }, (_, i) => i).filter((row) => weights[row] * sign > 0);
  return rows.length === length ? batch : gatherBatch(batch, rows, rows.length);
}
