import { type Batch, weightAt } from '../../../src/values/batch.ts';
import type { SqlType } from '../../../src/values/types.ts';
import type { TimeRange } from '../../plan/time-range.ts';
import { KeyTable } from '../state/key-table.ts';
import { EMPTY } from '../state/ordered-set.ts';
import { Timeline } from '../state/timeline.ts';

type Pair<T> = readonly [left: T, right: T];

/** Times beyond 2^53 are rounded where they are compared here; the join's own condition decides exactly. */
const ROUNDING_MICROS = 2048;
const LEAST_SWEPT = 1024;

/**
 * The sides of a join whose condition keeps two times close (plan/time-range.ts): a row is paired with the rows of its stretch of time, in
 * O(log rows) and one step for each. Rows that no row to come can meet, as the watermarks say, are let go; looked for when the rows have doubled.
 */
export class RangeProbe {
  readonly sides: readonly [Timeline, Timeline];
  readonly times: Pair<number>;
  readonly #keyColumns: Pair<readonly number[]>;
  readonly #range: TimeRange;
  readonly #keys: KeyTable;
  readonly #retractable: Pair<boolean>;
  /** By port, below what time no row comes or goes any more. */
  readonly #final: [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  #sweepAt = LEAST_SWEPT;
  #keySlots = new Int32Array(0);

  constructor(
    id: string,
    range: TimeRange,
    types: Pair<readonly SqlType[]>,
    keyColumns: Pair<readonly number[]>,
    extra: Pair<readonly SqlType[]>,
    retractable: Pair<boolean>,
  ) {
    this.#range = range;
    this.#retractable = retractable;
    this.#keyColumns = keyColumns;
    this.times = [range.leftTime, range.rightTime];
    this.#keys = new KeyTable(keyColumns[0].map((column) => types[0][column]));
    const emptied = (key: number): void => {
      if (this.sides.every((side) => side.root(key) === EMPTY) && this.#keys.alive(key)) this.#keys.release(key);
    };
    const side = (port: 0 | 1, name: string): Timeline =>
      new Timeline(
        `${id}.${name}`,
        {
          types: types[port],
          keyColumns: keyColumns[port],
          time: this.times[port],
          extra: extra[port],
          retractable: retractable[port],
        },
        this.#keys,
        emptied,
      );
    this.sides = [side(0, 'left'), side(1, 'right')];
    this.sides[0].table.goesWith((visit) => this.#keys.arrays(visit));
  }

  /** Visits the pairs of a batch's rows, in `order`, with the rows of the other side that may match. */
  meet(
    port: number,
    batch: Batch,
    order: Int32Array | null,
    visit: (row: number, slot: number, weight: number) => void,
  ): void {
    const other = this.sides[1 - port];
    for (const { table } of this.sides) table.ready();
    if (this.#keySlots.length < batch.length) this.#keySlots = new Int32Array(batch.length);
    const keySlots = this.#keySlots;
    this.#keys.lookup(
      this.#keyColumns[port].map((column) => batch.columns[column]),
      batch.length,
      keySlots,
    );
    const { lowMicros, highMicros } = this.#range;
    const [low, high] = port === 0 ? [lowMicros, highMicros] : [-highMicros, -lowMicros];
    const times = batch.columns[this.times[port]].values;
    const others = other.time;
    const weights = other.weights;
    let from = 0;
    let to = 0;
    let row = 0;
    let weight = 1;
    const reached = (slot: number): boolean => Number(others.values[slot]) >= from;
    const pair = (slot: number): boolean => {
      if (Number(others.values[slot]) > to) return false;
      visit(row, slot, weights === null ? weight : weight * weights[slot]);
      return true;
    };
    for (let i = 0; i < batch.length; i++) {
      row = order === null ? i : order[i];
      const root = keySlots[row] < 0 ? EMPTY : other.root(keySlots[row]);
      if (root === EMPTY) continue;
      const time = Number(times[row]);
      const slack = Number.isSafeInteger(2 * (Math.abs(time) + Math.abs(low) + Math.abs(high))) ? 0 : ROUNDING_MICROS;
      from = time + low - slack;
      to = time + high + slack;
      weight = weightAt(batch, row);
      other.sets.walkFrom(root, reached, pair);
    }
  }

  advance(port: number, micros: number): void {
    const bound = port === 0 ? this.#range.left : this.#range.right;
    if (bound?.firm) this.#final[port] = micros - bound.lagMicros;
  }

  /** After the epoch's rows: a row is met no more once all that could come to the other side is too late for it. */
  sweep(): void {
    const [left, right] = this.#final;
    if (left === Number.NEGATIVE_INFINITY && right === Number.NEGATIVE_INFINITY) return;
    if (this.#rows < this.#sweepAt) return;
    const { lowMicros, highMicros } = this.#range;
    this.#drop(0, right - highMicros, left);
    this.#drop(1, left + lowMicros, right);
    this.#sweepAt = Math.max(LEAST_SWEPT, 2 * this.#rows);
  }

  get #rows(): number {
    return this.sides[0].table.rows + this.sides[1].table.rows;
  }

  /** `unmet`: below that time nothing to come meets the row; `own`: nothing takes it back. */
  #drop(port: number, unmet: number, own: number): void {
    const before = (this.#retractable[port] ? Math.min(unmet, own) : unmet) - ROUNDING_MICROS;
    if (before === Number.NEGATIVE_INFINITY) return;
    const side = this.sides[port];
    for (const slot of side.table.aliveSlots()) if (Number(side.time.values[slot]) < before) side.drop(slot);
  }
}
