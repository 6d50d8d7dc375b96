import { assert } from '../../../src/lib/assert.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { type Column, ColumnBuilder, PlainColumn } from '../../../src/values/column.ts';
import { canonicalInteger, isExact64, type SqlType } from '../../../src/values/types.ts';
import type { Window } from '../../plan/plan.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** window_time is the last millisecond of the window, as in Flink. */
const LAST_MILLISECOND = 1000;

/** TUMBLE and HOP: each row once per window that contains its time. Stateless. */
export class WindowOperator extends OperatorBase {
  readonly #time: number;
  readonly #type: SqlType;
  readonly #size: number;
  readonly #slide: number;
  readonly #offset: number;

  constructor(info: OperatorInfo, context: OperatorContext, plan: Window) {
    super(info, context);
    this.#time = plan.timeColumn;
    this.#type = plan.input.schema[plan.timeColumn].type;
    this.#size = plan.sizeMicros;
    this.#slide = plan.slideMicros;
    this.#offset = plan.offsetMicros;
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
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      if (nulls !== null && nulls[row] === 1) continue;
      const time = values[row];
      const sinceSlide = (time - this.#offset) % this.#slide;
      let start = time - (sinceSlide < 0 ? sinceSlide + this.#slide : sinceSlide);
      if (!Number.isSafeInteger(start + this.#size) || !Number.isSafeInteger(start - this.#size)) {
        this.#pushExact(batch, column);
        return;
      }
      for (; start > time - this.#size; start -= this.#slide) {
        rows[count] = row;
        starts[count++] = start;
      }
    }
    const ends = new Float64Array(count);
    const times = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      ends[i] = starts[i] + this.#size;
      times[i] = ends[i] - LAST_MILLISECOND;
    }
    this.#emitRows(batch, rows, count, [
      new PlainColumn(this.#type, count, starts.subarray(0, count), null),
      new PlainColumn(this.#type, count, ends, null),
      new PlainColumn(this.#type, count, times, null),
    ]);
  }

  /** The same with bigints, for times whose windows reach beyond 2^53 µs. */
  #pushExact(batch: Batch, column: Column): void {
    const [size, slide, offset] = [BigInt(this.#size), BigInt(this.#slide), BigInt(this.#offset)];
    const rows: number[] = [];
    const bounds = [0, 1, 2].map(() => new ColumnBuilder(this.#type, batch.length));
    for (let row = 0; row < batch.length; row++) {
      if (column.nulls !== null && column.nulls[row] === 1) continue;
      const time = BigInt(column.values[row] as number | bigint);
      const sinceSlide = (((time - offset) % slide) + slide) % slide;
      for (let start = time - sinceSlide; start > time - size; start -= slide) {
        rows.push(row);
        bounds[0].push(canonicalInteger(start));
        bounds[1].push(canonicalInteger(start + size));
        bounds[2].push(canonicalInteger(start + size - BigInt(LAST_MILLISECOND)));
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
