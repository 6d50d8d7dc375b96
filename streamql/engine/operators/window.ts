import { assert } from '../../../src/lib/assert.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { type Column, ColumnBuilder, PlainColumn } from '../../../src/values/column.ts';
import { canonicalInteger, isExact64, type SqlType } from '../../../src/values/types.ts';
import type { Window } from '../../plan/plan.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** window_time is the last millisecond of the window, as in Flink. */
export const LAST_MILLISECOND = 1000;

/** TUMBLE, HOP and CUMULATE: each row once per window that contains its time. Stateless. */
export class WindowOperator extends OperatorBase {
  readonly #time: number;
  readonly #type: SqlType;
  readonly #size: number;
  readonly #slide: number;
  readonly #offset: number;
  readonly #cumulates: boolean;

  constructor(info: OperatorInfo, context: OperatorContext, plan: Window) {
    super(info, context);
    this.#time = plan.timeColumn;
    this.#type = plan.input.schema[plan.timeColumn].type;
    this.#size = plan.sizeMicros;
    this.#slide = plan.slideMicros;
    this.#offset = plan.offsetMicros;
    this.#cumulates = plan.kind === 'cumulate';
    assert(isExact64(this.#type), 'a window needs a timestamp');
    assert(this.#size > 0 && this.#slide > 0, 'a window has a positive size and slide');
  }

  push(_port: number, batch: Batch): void {
    const column = batch.columns[this.#time];
    const values = column.values;
    if (!(values instanceof Float64Array)) {
      this.#pushExact(batch, column);
      return;
    }
    const { nulls } = column;
    const most = batch.length * Math.max(1, Math.ceil(this.#size / this.#slide));
    const rows = new Int32Array(most);
    const starts = new Float64Array(most);
    const ends = new Float64Array(most);
    const period = this.#cumulates ? this.#size : this.#slide;
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      if (nulls !== null && nulls[row] === 1) continue;
      const time = values[row];
      const rest = (time - this.#offset) % period;
      const sinceStart = rest < 0 ? rest + period : rest;
      let start = time - sinceStart;
      if (!Number.isSafeInteger(start + this.#size) || !Number.isSafeInteger(start - this.#size)) {
        this.#pushExact(batch, column);
        return;
      }
      if (this.#cumulates) {
        for (
          let size = sinceStart - (sinceStart % this.#slide) + this.#slide;
          size <= this.#size;
          size += this.#slide
        ) {
          rows[count] = row;
          starts[count] = start;
          ends[count++] = start + size;
        }
      } else {
        for (; start > time - this.#size; start -= this.#slide) {
          rows[count] = row;
          starts[count] = start;
          ends[count++] = start + this.#size;
        }
      }
    }
    const times = new Float64Array(count);
    for (let i = 0; i < count; i++) times[i] = ends[i] - LAST_MILLISECOND;
    this.#emitRows(batch, rows, count, [
      new PlainColumn(this.#type, count, starts.subarray(0, count), null),
      new PlainColumn(this.#type, count, ends.subarray(0, count), null),
      new PlainColumn(this.#type, count, times, null),
    ]);
  }

  /** The same with bigints, for times whose windows reach beyond 2^53 µs. */
  #pushExact(batch: Batch, column: Column): void {
    const [size, slide, offset] = [BigInt(this.#size), BigInt(this.#slide), BigInt(this.#offset)];
    const rows: number[] = [];
    const period = this.#cumulates ? size : slide;
    const bounds = [0, 1, 2].map(() => new ColumnBuilder(this.#type, batch.length));
    const add = (row: number, start: bigint, end: bigint): void => {
      rows.push(row);
      bounds[0].push(canonicalInteger(start));
      bounds[1].push(canonicalInteger(end));
      bounds[2].push(canonicalInteger(end - BigInt(LAST_MILLISECOND)));
    };
    for (let row = 0; row < batch.length; row++) {
      if (column.nulls !== null && column.nulls[row] === 1) continue;
      const time = BigInt(column.values[row] as number | bigint);
      const sinceStart = (((time - offset) % period) + period) % period;
      const start = time - sinceStart;
      if (this.#cumulates) {
        const least = sinceStart - (sinceStart % slide) + slide;
        for (let end = start + least; end <= start + size; end += slide) add(row, start, end);
      } else {
        for (let from = start; from > time - size; from -= slide) add(row, from, from + size);
      }
    }
    this.#emitRows(
      batch,
      Int32Array.from(rows),
      rows.length,
      bounds.map((builder) => builder.finish()),
    );
  }

  #emitRows(batch: Batch, rows: Int32Array, count: number, bounds: readonly Column[]): void {
    if (count === 0) return;
    let once = count === batch.length;
    for (let i = 0; once && i < count; i++) once = rows[i] === i;
    const columns = once ? batch.columns : batch.columns.map((column) => column.gather(rows, count));
    let weights = batch.weights;
    if (weights !== null && !once) {
      weights = new Int32Array(count);
      for (let i = 0; i < count; i++) weights[i] = batch.weights![rows[i]];
    }
    this.emit({ length: count, columns: [...columns, ...bounds], weights });
  }
}
