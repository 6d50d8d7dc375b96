import { assert } from '../../../src/lib/assert.ts';
import { type Batch, batchOfRows, copied, gatherBatch, ofSign, rowAt, weightAt } from '../../../src/values/batch.ts';
import { nullColumn } from '../../../src/values/column.ts';
import { BIGINT, BOOLEAN, type Datum, type SqlType } from '../../../src/values/types.ts';
import type { LookupJoin } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { Arrangement } from '../state/arrangement.ts';
import { NONE } from '../state/chains.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import type { Selector } from './join.ts';
import { JoinPairs, splitByNullKey } from './join-pairs.ts';

const LEFT = 0;
const NOTHING = (): void => {};

/**
 * Looks left rows up in the right side as it is at the end of the epoch in which they come. State: the right side's rows; where left rows can
 * be taken back also what each arrival of one was shown with, so that the very same goes again, the last arrival first.
 */
export class LookupOperator extends OperatorBase {
  readonly #keys: readonly [readonly number[], readonly number[]];
  readonly #residual: Selector | null;
  readonly #showsAlone: boolean;
  readonly #leftTypes: readonly SqlType[];
  readonly #rightTypes: readonly SqlType[];
  readonly #right: Arrangement;
  /** Output row, whether it was shown, which arrival it was; by the left row. Null where nothing is taken back. */
  readonly #shown: Arrangement | null;
  readonly #pairs = new JoinPairs();
  #arrivals: number | null = null;
  #waiting: Batch[] = [];
  #keySlots = new Int32Array(0);

  constructor(
    info: OperatorInfo,
    context: OperatorContext,
    plan: LookupJoin,
    leftAppends: boolean,
    residual: Selector | null,
  ) {
    super(info, context);
    this.#keys = [plan.keys.map(([left]) => left), plan.keys.map(([, right]) => right)];
    this.#residual = residual;
    this.#showsAlone = plan.kind === 'left';
    const types = (side: LookupJoin['left']): SqlType[] => side.schema.map((column) => column.type);
    this.#leftTypes = types(plan.left);
    this.#rightTypes = types(plan.right);
    this.#right = new Arrangement(`${this.id}.right`, this.#rightTypes, this.#keys[1], true);
    const shown = [...this.#leftTypes, ...this.#rightTypes, BOOLEAN, BIGINT];
    this.#shown = leftAppends
      ? null
      : new Arrangement(
          `${this.id}.shown`,
          shown,
          this.#leftTypes.map((_, i) => i),
          true,
        );
    this.#right.table.holds = wholeRows(1, this.#rightTypes.length);
    if (this.#shown !== null) this.#shown.table.holds = wholeRows(LEFT, this.#leftTypes.length);
  }

  override get state(): readonly StateTable[] {
    return [this.#right.table, ...(this.#shown === null ? [] : [this.#shown.table])];
  }

  push(port: number, batch: Batch): void {
    if (port === LEFT) {
      this.#waiting.push(batch);
      return;
    }
    const split = splitByNullKey(batch, this.#keys[1]);
    const keyed = split === null ? batch : gatherBatch(batch, split.keyed, split.keyedCount);
    if (keyed.length > 0) this.#right.apply(keyed, NOTHING);
  }

  override endEpoch(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    // What comes is looked up before what goes looks for its arrival.
    for (const batch of waiting) {
      const come = ofSign(batch, 1);
      // Each copy is an arrival of its own.
      this.#arrive(this.#shown === null ? come : copied(come));
    }
    for (const batch of waiting) this.#leave(ofSign(batch, -1));
  }

  #arrive(batch: Batch): void {
    if (batch.length === 0) return;
    if (this.#keySlots.length < batch.length) this.#keySlots = new Int32Array(batch.length);
    const keySlots = this.#keySlots;
    this.#right.probe(batch, this.#keys[0], keySlots);
    const { heads, next } = this.#right.chains;
    const weights = this.#right.weights as Float64Array;
    const hasNull = splitByNullKey(batch, this.#keys[0]);
    for (let i = 0; i < (hasNull?.nullCount ?? 0); i++) keySlots[hasNull!.nullKeyed[i]] = NONE;
    const matched = new Uint8Array(batch.length);
    const found: Batch[] = [];
    const pairs = this.#pairs;
    const flush = (): void => {
      if (pairs.count === 0) return;
      let joined = pairs.build(batch, this.#right.columns, true);
      let rows = pairs.rows.slice(0, pairs.count);
      if (this.#residual !== null) {
        const selected = this.#residual(joined);
        rows = Int32Array.from({ length: selected.count }, (_, i) => rows[selected.rows[i]]);
        joined = gatherBatch(joined, selected.rows, selected.count);
      }
      for (const row of rows) matched[row] = 1;
      if (joined.length > 0) found.push(joined);
      this.#keep(joined, rows, batch, true);
      pairs.clear();
    };
    this.#beginArrivals(batch.length);
    for (let row = 0; row < batch.length; row++) {
      if (keySlots[row] === NONE) continue;
      for (let slot = heads[keySlots[row]]; slot !== NONE; slot = next[slot]) {
        pairs.add(row, slot, weightAt(batch, row) * weights[slot]);
        if (pairs.full) flush();
      }
    }
    flush();
    // Where nothing is taken back, no weight but 1 may come either.
    for (const joined of found) this.emit(this.#shown === null ? copied(joined) : joined);
    const alone = Int32Array.from({ length: batch.length }, (_, i) => i).filter((row) => matched[row] === 0);
    if (alone.length === 0) return;
    const single = gatherBatch(batch, alone, alone.length);
    const nulls = this.#rightTypes.map((type) => nullColumn(type, alone.length));
    const shown: Batch = { ...single, columns: [...single.columns, ...nulls] };
    if (this.#showsAlone) this.emit(shown);
    this.#keep(shown, alone, batch, this.#showsAlone);
  }

  #beginArrivals(length: number): void {
    if (this.#shown === null) return;
    if (this.#arrivals === null) {
      const { table } = this.#shown;
      let last = -1;
      const column = this.#shown.columns[this.#shown.columns.length - 1];
      for (const slot of table.aliveSlots()) last = Math.max(last, Number(column.values[slot]));
      this.#arrivals = last + 1;
    }
    this.#arrivals += length;
  }

  /** Remembers output rows; row i is of row `rows[i]` of the batch, whose arrivals are the last numbers given out. */
  #keep(shown: Batch, rows: Int32Array, batch: Batch, isShown: boolean): void {
    if (this.#shown === null || shown.length === 0) return;
    const first = (this.#arrivals as number) - batch.length;
    const out: Datum[][] = [];
    const weights: number[] = [];
    for (let i = 0; i < shown.length; i++) {
      out.push([...rowAt(shown, i), isShown, first + rows[i]]);
      weights.push(weightAt(shown, i));
    }
    this.#shown.apply(batchOfRows(this.#shownTypes, out, weights), NOTHING);
  }

  get #shownTypes(): SqlType[] {
    return [...this.#leftTypes, ...this.#rightTypes, BOOLEAN, BIGINT];
  }

  /** Takes back what the last arrivals of the rows were shown with. */
  #leave(batch: Batch): void {
    const shown = this.#shown;
    if (batch.length === 0 || shown === null) return;
    const slots = new Int32Array(1);
    const keyColumns = this.#leftTypes.map((_, i) => i);
    for (let row = 0; row < batch.length; row++) {
      const one = gatherBatch(batch, Int32Array.of(row), 1);
      for (let copy = weightAt(batch, row); copy < 0; copy++) this.#takeBack(shown, one, keyColumns, slots);
    }
  }

  /** Takes back one copy of a row. */
  #takeBack(shown: Arrangement, one: Batch, keyColumns: readonly number[], slots: Int32Array): void {
    shown.probe(one, keyColumns, slots);
    const [flags, arrivals] = shown.columns.slice(-2);
    const found: number[] = [];
    const { heads, next } = shown.chains;
    let last = -1;
    for (let slot = slots[0] === NONE ? NONE : heads[slots[0]]; slot !== NONE; slot = next[slot]) {
      const arrival = Number(arrivals.values[slot]);
      if (arrival > last) found.length = 0;
      if (arrival < last) continue;
      last = arrival;
      found.push(slot);
    }
    assert(found.length > 0, `${this.id}: a row was taken back that is not there`);
    const rows = Int32Array.from(found);
    const count = rows.length;
    const columns = shown.columns.map((column) => column.gather(rows, count));
    const isShown = flags.get(found[0]) === true;
    const gone = Int32Array.from(found, (slot) => -(shown.weights as Float64Array)[slot]);
    shown.apply({ length: count, columns, weights: gone }, NOTHING);
    if (isShown) this.emit({ length: count, columns: columns.slice(0, -2), weights: gone });
  }
}
