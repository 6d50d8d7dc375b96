import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { nullColumn } from '../../../src/values/column.ts';
import type { SqlType } from '../../../src/values/types.ts';
import { type TimeBound, timeBoundsOf } from '../../plan/event-time.ts';
import type { AsofJoin } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { grown } from '../state/arrays.ts';
import { KeyTable } from '../state/key-table.ts';
import { EMPTY } from '../state/ordered-set.ts';
import { totalOrder } from '../state/row-order.ts';
import { compareTimes, Timeline } from '../state/timeline.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { splitByNullKey } from './join-pairs.ts';

const LEFT = 0;
const RIGHT = 1;
/** With fewer rows it is not worth while to look for those that no more can change. */
const LEAST_SWEPT = 1024;

/**
 * ASOF join over rows that come and go on both sides. State: both sides' rows in the order of their times. At the end of an epoch the left
 * rows that changed, and those whose match may have (they lie between a right row that came or went and its neighbour), are
 * matched anew: O(log n) for each of them, and for each right row that changed.
 */
export class AsofOperator extends OperatorBase {
  readonly #keyColumns: readonly [readonly number[], readonly number[]];
  readonly #times: readonly [number, number];
  readonly #rightTypes: readonly SqlType[];
  readonly #showsAlone: boolean;
  /** `>=` and `>`: the match lies before the left row. */
  readonly #isBackward: boolean;
  /** Whether a left row is past a right one only when its time is greater, not when it is equal. */
  readonly #isStrict: boolean;
  readonly #keys: KeyTable;
  readonly #left: Timeline;
  readonly #right: Timeline;
  /** By left slot: the right slot it is shown with, or EMPTY. Derived. */
  #matches = new Int32Array(16);
  #matchesStale = false;
  readonly #bounds: readonly (TimeBound | undefined)[];
  /** By port: no row below this time comes or goes any more. */
  readonly #final = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  #sweepAt = LEAST_SWEPT;
  #marked = new Uint8Array(16);
  #keySlots = new Int32Array(0);
  /** The left slot that `#isNotPast` is about. */
  #probe = EMPTY;
  readonly #isNotPast = (right: number): boolean => !this.#isPast(this.#probe, right);

  constructor(info: OperatorInfo, context: OperatorContext, plan: AsofJoin) {
    super(info, context);
    this.#keyColumns = [plan.keys.map(([left]) => left), plan.keys.map(([, right]) => right)];
    this.#times = [plan.leftTime, plan.rightTime];
    this.#bounds = [timeBoundsOf(plan.left).get(plan.leftTime), timeBoundsOf(plan.right).get(plan.rightTime)];
    this.#showsAlone = plan.kind === 'left';
    this.#isBackward = plan.cmp === '>=' || plan.cmp === '>';
    this.#isStrict = plan.cmp === '>' || plan.cmp === '<=';
    const types = (side: AsofJoin['left']): SqlType[] => side.schema.map((column) => column.type);
    this.#rightTypes = types(plan.right);
    this.#keys = new KeyTable(this.#keyColumns[0].map((column) => plan.left.schema[column].type));
    const stale = (): void => {
      this.#matchesStale = true;
    };
    this.#left = new Timeline(
      `${this.id}.left`,
      { types: types(plan.left), keyColumns: this.#keyColumns[0], time: plan.leftTime, retractable: true },
      this.#keys,
      this.#freeKey,
      stale,
    );
    const ties = [plan.rightTime, ...plan.ties].map((column) => ({ column, descending: false, nullsFirst: false }));
    const order = totalOrder(this.#rightTypes.length, ties);
    this.#right = new Timeline(
      `${this.id}.right`,
      {
        types: this.#rightTypes,
        keyColumns: this.#keyColumns[1],
        time: plan.rightTime,
        retractable: true,
        ties: (columns, a, b) => order(columns, a, columns, b),
      },
      this.#keys,
      this.#freeKey,
      stale,
    );
    this.#left.table.goesWith((visit) => {
      this.#keys.arrays(visit);
      this.#matches = visit(this.#matches);
      this.#marked = visit(this.#marked);
    });
    this.#left.table.holds = wholeRows(LEFT, plan.left.schema.length);
    this.#right.table.holds = wholeRows(RIGHT, plan.right.schema.length);
  }

  override get state(): readonly StateTable[] {
    return [this.#left.table, this.#right.table];
  }

  push(port: number, whole: Batch): void {
    this.#ready();
    const keyColumns = this.#keyColumns[port];
    const split = splitByNullKey(whole, [...keyColumns, this.#times[port]]);
    let batch = whole;
    if (split !== null) {
      if (port === LEFT && this.#showsAlone) this.#emitAlone(gatherBatch(whole, split.nullKeyed, split.nullCount));
      batch = gatherBatch(whole, split.keyed, split.keyedCount);
    }
    if (batch.length === 0) return;
    if (this.#keySlots.length < batch.length) this.#keySlots = new Int32Array(batch.length);
    this.#keys.upsert(
      keyColumns.map((column) => batch.columns[column]),
      batch.length,
      this.#keySlots,
    );
    (port === LEFT ? this.#left : this.#right).add(batch, this.#keySlots);
  }

  override endEpoch(): void {
    const [left, right] = [this.#left, this.#right];
    this.#ready();
    if (left.touched.length > 0 || right.touched.length > 0) this.#settle(left, right);
    this.#sweep();
  }

  advance(port: number, micros: number): void {
    const bound = this.#bounds[port];
    if (bound?.firm && this.#isBackward) this.#final[port] = micros - bound.lagMicros;
  }

  #settle(left: Timeline, right: Timeline): void {
    left.unsetGone();
    right.unsetGone();
    if (this.#marked.length < left.table.capacity) {
      this.#marked = grown(this.#marked, left.table.capacity);
      this.#matches = grown(this.#matches, left.table.capacity);
    }
    this.#rematch();
    left.settle();
    right.settle();
  }

  readonly #freeKey = (key: number): void => {
    if (this.#left.root(key) === EMPTY && this.#right.root(key) === EMPTY && this.#keys.alive(key))
      this.#keys.release(key);
  };

  /**
   * Below the watermarks of both sides nothing changes any more: left rows there are final, and of the right ones only the last before counts.
   * Looked for when the rows have doubled, so that it costs O(log rows) for each row that came.
   */
  #sweep(): void {
    const [left, right] = [this.#left, this.#right];
    const { rows } = this;
    const final = Math.min(...this.#final);
    if (final === Number.NEGATIVE_INFINITY || rows < this.#sweepAt) return;
    for (const slot of left.table.aliveSlots()) if (Number(left.time.values[slot]) < final) left.drop(slot);
    for (const slot of right.table.aliveSlots()) {
      const next = right.sets.from(right.root(right.keyOf[slot]), (row) => right.order(row, slot) > 0);
      if (next !== EMPTY && Number(right.time.values[next]) < final) right.drop(slot);
    }
    this.#sweepAt = Math.max(LEAST_SWEPT, 2 * this.rows);
  }

  private get rows(): number {
    return this.#left.table.rows + this.#right.table.rows;
  }

  #rematch(): void {
    const left = this.#left;
    const gone = new Pairs();
    const come = new Pairs();
    const weights = left.weights as Float64Array;
    const show = (pairs: Pairs, slot: number, match: number, weight: number): void => {
      if (weight > 0 && (match !== EMPTY || this.#showsAlone)) pairs.add(slot, match, weight);
    };
    const refresh = (slot: number, before: number): void => {
      const after = weights[slot];
      const old = before > 0 ? this.#matches[slot] : EMPTY;
      const match = after > 0 ? this.#matchOf(slot) : EMPTY;
      this.#matches[slot] = match;
      if (before > 0 && after > 0 && old === match) {
        show(after > before ? come : gone, slot, match, Math.abs(after - before));
        return;
      }
      show(gone, slot, old, before);
      show(come, slot, match, after);
    };
    const affected = this.#affected();
    for (const slot of left.touched) {
      this.#marked[slot] = 0;
      refresh(slot, left.before[slot]);
    }
    for (const slot of affected) {
      if (this.#marked[slot] === 0) continue;
      this.#marked[slot] = 0;
      refresh(slot, weights[slot]);
    }
    this.#emitPairs(gone, -1);
    this.#emitPairs(come, 1);
  }

  /** Left rows whose match may have changed because right rows came or went; they are marked. */
  #affected(): number[] {
    const [left, right] = [this.#left, this.#right];
    const weights = right.weights as Float64Array;
    const byKey = new Map<number, number[]>();
    for (const slot of right.touched) {
      if (right.before[slot] > 0 === weights[slot] > 0) continue;
      const key = right.keyOf[slot];
      const same = byKey.get(key);
      if (same === undefined) byKey.set(key, [slot]);
      else same.push(slot);
    }
    const affected: number[] = [];
    for (const [key, changed] of byKey) {
      const root = left.root(key);
      if (root === EMPTY) continue;
      changed.sort((a, b) => right.order(a, b));
      changed.forEach((slot, i) => {
        const neighbour = this.#neighbour(key, slot, this.#isBackward ? changed[i + 1] : changed[i - 1]);
        const [from, to] = this.#isBackward ? [slot, neighbour] : [neighbour, slot];
        left.sets.walkFrom(
          root,
          (row) => from === EMPTY || this.#isPast(row, from),
          (row) => {
            if (to !== EMPTY && this.#isPast(row, to)) return false;
            if (this.#marked[row] === 0) affected.push(row);
            this.#marked[row] = 1;
            return true;
          },
        );
      });
    }
    return affected;
  }

  /** The right row up to which a changed one decides: the nearest that is there, or `other`, which changed too. */
  #neighbour(key: number, slot: number, other: number | undefined): number {
    const right = this.#right;
    const root = right.root(key);
    const near = this.#isBackward
      ? right.sets.from(root, (row) => right.order(row, slot) > 0)
      : right.sets.before(root, (row) => right.order(row, slot) >= 0);
    if (other === undefined) return near;
    if (near === EMPTY) return other;
    return right.order(other, near) < 0 === this.#isBackward ? other : near;
  }

  #matchOf(left: number): number {
    const right = this.#right;
    const root = right.root(this.#left.keyOf[left]);
    if (root === EMPTY) return EMPTY;
    this.#probe = left;
    return this.#isBackward ? right.sets.before(root, this.#isNotPast) : right.sets.from(root, this.#isNotPast);
  }

  #isPast(left: number, right: number): boolean {
    const order = compareTimes(this.#left.time, left, this.#right.time, right);
    return order > 0 || (order === 0 && !this.#isStrict);
  }

  /** Makes the matches anew after a load. */
  #ready(): void {
    this.#left.table.ready();
    this.#right.table.ready();
    if (!this.#matchesStale) return;
    this.#matchesStale = false;
    this.#matches = new Int32Array(this.#left.table.capacity);
    for (const slot of this.#left.table.aliveSlots()) this.#matches[slot] = this.#matchOf(slot);
  }

  #emitPairs(pairs: Pairs, sign: 1 | -1): void {
    for (const alone of [false, true]) {
      const wanted = pairs.rights.flatMap((right, i) => ((right === EMPTY) === alone ? [i] : []));
      const count = wanted.length;
      if (count === 0) continue;
      const lefts = Int32Array.from(wanted, (i) => pairs.lefts[i]);
      const rights = Int32Array.from(wanted, (i) => pairs.rights[i]);
      const weights = Int32Array.from(wanted, (i) => sign * pairs.weights[i]);
      const columns = this.#left.columns.map((column) => column.gather(lefts, count));
      const other = alone
        ? this.#rightTypes.map((type) => nullColumn(type, count))
        : this.#right.columns.map((column) => column.gather(rights, count));
      const isPlain = sign === 1 && weights.every((weight) => weight === 1);
      this.emit({ length: count, columns: [...columns, ...other], weights: isPlain ? null : weights });
    }
  }

  #emitAlone(batch: Batch): void {
    if (batch.length === 0) return;
    const nulls = this.#rightTypes.map((type) => nullColumn(type, batch.length));
    this.emit({ ...batch, columns: [...batch.columns, ...nulls] });
  }
}

/** Left rows with their right ones, EMPTY where there is none, and how often. */
class Pairs {
  readonly lefts: number[] = [];
  readonly rights: number[] = [];
  readonly weights: number[] = [];

  add(left: number, right: number, weight: number): void {
    this.lefts.push(left);
    this.rights.push(right);
    this.weights.push(weight);
  }
}
