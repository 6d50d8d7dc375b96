import type { Batch } from './batch.ts';
import { type Column, type ColumnValues, PlainColumn, TextColumn } from './column.ts';
import { type Datum, isText, type SqlType } from './types.ts';

/**
 * Batches as plain data for postMessage. An encoded batch owns its buffers, so all of them can be transferred: the source batch, whose
 * arrays may be shared (with a chunk of the log, with other subscribers), stays as it is. Text travels as UTF-8.
 */
export interface EncodedBatch {
  readonly length: number;
  readonly weights: Int32Array | null;
  readonly columns: readonly EncodedColumn[];
}

interface EncodedColumn {
  readonly type: SqlType;
  readonly nulls: Uint8Array | null;
  readonly values: ColumnValues | null;
  readonly text: { readonly bytes: Uint8Array; readonly starts: Int32Array; readonly ends: Int32Array } | null;
}

export function encodeBatch(batch: Batch): EncodedBatch {
  const { length } = batch;
  const weights = batch.weights === null ? null : batch.weights.slice(0, length);
  return { length, weights, columns: batch.columns.map((column) => encodeColumn(column, length)) };
}

export function decodeBatch(encoded: EncodedBatch): Batch {
  const { length } = encoded;
  const columns = encoded.columns.map(({ type, nulls, values, text }): Column => {
    if (text === null) return new PlainColumn(type, length, values as ColumnValues, nulls);
    const { buffer, byteOffset, byteLength } = text.bytes;
    return new TextColumn(type, length, Buffer.from(buffer, byteOffset, byteLength), text.starts, text.ends, nulls);
  });
  return { length, weights: encoded.weights, columns };
}

/** For the transfer list of postMessage. */
export function transferables(encoded: EncodedBatch): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  const add = (array: ArrayBufferView | null): void => {
    if (array !== null) buffers.push(array.buffer as ArrayBuffer);
  };
  add(encoded.weights);
  for (const { nulls, values, text } of encoded.columns) {
    add(nulls);
    if (ArrayBuffer.isView(values)) add(values);
    if (text === null) continue;
    add(text.bytes);
    add(text.starts);
    add(text.ends);
  }
  return buffers;
}

function encodeColumn(column: Column, length: number): EncodedColumn {
  const { type } = column;
  const nulls = column.nulls === null ? null : column.nulls.slice(0, length);
  if (column instanceof TextColumn && !column.decoded)
    return { type, nulls, values: null, text: rangesOf(column, length) };
  const { values } = column;
  if (!Array.isArray(values)) return { type, nulls, values: (values as Float64Array).slice(0, length), text: null };
  if (isText(type)) {
    return { type, nulls, values: null, text: utf8Of(values as readonly (string | null)[], nulls, length) };
  }
  // A view's clone would take its whole buffer along.
  const plain = (values as readonly Datum[]).slice(0, length);
  const copied =
    type.kind === 'bytea' ? plain.map((datum) => (datum instanceof Uint8Array ? new Uint8Array(datum) : datum)) : plain;
  return { type, nulls, values: copied, text: null };
}

function rangesOf(column: TextColumn, length: number): NonNullable<EncodedColumn['text']> {
  const { bytes, nulls } = column;
  const starts = new Int32Array(length);
  const ends = new Int32Array(length);
  let used = 0;
  let first = bytes.length;
  let last = 0;
  for (let i = 0; i < length; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    used += column.ends[i] - column.starts[i];
    if (column.starts[i] < first) first = column.starts[i];
    if (column.ends[i] > last) last = column.ends[i];
  }
  const span = Math.max(0, last - first);
  // Mostly used: one copy with what lies between. Else only what is used.
  const whole = span <= 2 * used;
  const copy = new Uint8Array(whole ? span : used);
  if (whole) copy.set(bytes.subarray(first, first + span));
  let at = 0;
  for (let i = 0; i < length; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const size = column.ends[i] - column.starts[i];
    if (whole) at = column.starts[i] - first;
    else copy.set(bytes.subarray(column.starts[i], column.ends[i]), at);
    starts[i] = at;
    at += size;
    ends[i] = at;
  }
  return { bytes: copy, starts, ends };
}

function utf8Of(
  values: readonly (string | null)[],
  nulls: Uint8Array | null,
  length: number,
): NonNullable<EncodedColumn['text']> {
  const texts = new Array<string>(length);
  for (let i = 0; i < length; i++) texts[i] = nulls !== null && nulls[i] === 1 ? '' : (values[i] ?? '');
  const joined = texts.join('');
  const bytes = new Uint8Array(Buffer.byteLength(joined));
  Buffer.from(bytes.buffer).write(joined);
  const starts = new Int32Array(length);
  const ends = new Int32Array(length);
  const ascii = bytes.length === joined.length;
  let at = 0;
  for (let i = 0; i < length; i++) {
    starts[i] = at;
    at += ascii ? texts[i].length : Buffer.byteLength(texts[i]);
    ends[i] = at;
  }
  return { bytes, starts, ends };
}
