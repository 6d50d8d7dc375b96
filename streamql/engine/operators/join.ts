import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { nullColumn } from '../../../src/values/column.ts';
import { BIGINT, type SqlType } from '../../../src/values/types.ts';
import type { Join } from '../../plan/plan.ts';
import { timeRangeOf } from '../../plan/time-range.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { Arrangement } from '../state/arrangement.ts';
import { NONE } from '../state/chains.ts';
import type { Timeline } from '../state/timeline.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { comingFirst, JoinPairs, splitByNullKey } from './join-pairs.ts';
import { MatchCounts } from './match-counts.ts';
import { RangeProbe } from './range-probe.ts';

/** The rows of a batch that satisfy a condition, ascending in `rows[0..count)`. */
export type Selector = (batch: Batch) => { readonly rows: Int32Array; readonly count: number };

const LEFT = 0;
const RIGHT = 1;

/**
 * Joins of every kind: Δ(A⋈B) = ΔA⋈B + A⋈ΔB + ΔA⋈ΔB, done as two steps because batches come one at a time: a batch meets the
 * other side as it stands and then joins its own. Weights multiply. NULL keys match nothing, unless the join is null safe.
 *
 * A side that shows rows by whether they have a match (the left one of left, semi and anti joins, both of a full join) also keeps,
 * per row, the weight of the rows that match it; a row turns when that becomes 0 or is 0 no more. A semi join shows the rows
 * whose weight is above 0, the others those where it is 0, with NULLs for the other side's columns.
 */
export class JoinOperator extends OperatorBase {
  readonly #sides: readonly [Arrangement, Arrangement] | readonly [Timeline, Timeline];
  /** Where ON sets times against each other; the sides are then in the order of their times. */
  readonly #range: RangeProbe | null;
  readonly #keys: readonly [readonly number[], readonly number[]];
  readonly #types: readonly [readonly SqlType[], readonly SqlType[]];
  readonly #residual: Selector | null;
  readonly #kind: Join['kind'];
  readonly #nullSafe: boolean;
  /** Per side: the match weights of its rows, where they decide what is shown. */
  readonly #counts: readonly [MatchCounts | null, MatchCounts | null];
  /** Whether pairs are output; else they only count. */
  readonly #shows: boolean;
  readonly #pairs = new JoinPairs();
  #keySlots: Int32Array = new Int32Array(0);

  constructor(
    info: OperatorInfo,
    context: OperatorContext,
    plan: Join,
    retractable: readonly [left: boolean, right: boolean],
    residual: Selector | null,
  ) {
    super(info, context);
    this.#kind = plan.kind;
    this.#nullSafe = plan.nullSafe === true;
    this.#residual = residual;
    this.#shows = plan.kind !== 'semi' && plan.kind !== 'anti';
    this.#keys = [plan.keys.map(([left]) => left), plan.keys.map(([, right]) => right)];
    this.#types = [plan.left, plan.right].map((side) => side.schema.map(({ type }) => type)) as [SqlType[], SqlType[]];
    const counted = [plan.kind !== 'inner', plan.kind === 'full'];
    const extra = (port: number): SqlType[] => (counted[port] ? [BIGINT] : []);
    const range = timeRangeOf(plan);
    this.#range =
      range === null
        ? null
        : new RangeProbe(this.id, range, this.#types, this.#keys, [extra(LEFT), extra(RIGHT)], retractable);
    const side = (port: number, name: string): Arrangement =>
      new Arrangement(`${this.id}.${name}`, this.#types[port], this.#keys[port], retractable[port], extra(port));
    this.#sides = this.#range?.sides ?? [side(LEFT, 'left'), side(RIGHT, 'right')];
    this.#sides.forEach(({ table }, port) => {
      table.holds = wholeRows(port, this.#types[port].length);
    });
    const counts = (port: number): MatchCounts | null =>
      counted[port] ? new MatchCounts(this.#sides[port], plan.kind === 'semi') : null;
    this.#counts = [counts(LEFT), counts(RIGHT)];
  }

  override get state(): readonly StateTable[] {
    return this.#sides.map((side) => side.table);
  }

  push(port: number, whole: Batch): void {
    const batch = this.#withKeys(port, whole);
    if (batch.length === 0) return;
    const mine = this.#counts[port];
    mine?.begin(batch.length);
    this.#meet(port, batch);
    if (mine !== null) this.#emitAlone(port, mine.shownOf(batch));
    const turned = this.#counts[1 - port]?.turned() ?? null;
    if (turned !== null) this.#emitAlone(1 - port, turned);
    this.#sides[port].apply(batch, (slots, rows, count) => mine?.keep(slots, rows, count));
  }

  advance(port: number, micros: number): void {
    this.#range?.advance(port, micros);
  }

  override endEpoch(): void {
    this.#range?.sweep();
  }

  /** The rows whose key has no NULL; where rows without a match are shown, the others pass at once. */
  #withKeys(port: number, batch: Batch): Batch {
    const times = this.#range === null ? [] : [this.#range.times[port]];
    const split = this.#nullSafe ? null : splitByNullKey(batch, [...this.#keys[port], ...times]);
    if (split === null) return batch;
    if (this.#counts[port] !== null && this.#kind !== 'semi') {
      this.#emitAlone(port, gatherBatch(batch, split.nullKeyed, split.nullCount));
    }
    return gatherBatch(batch, split.keyed, split.keyedCount);
  }

  /** Pairs every row with the matching rows of the other side, counts and emits them. */
  #meet(port: number, batch: Batch): void {
    const pairs = this.#pairs;
    const order = comingFirst(batch);
    if (this.#range !== null) {
      this.#range.meet(port, batch, order, (row, slot, weight) => {
        pairs.add(row, slot, weight);
        if (pairs.full) this.#flush(port, batch);
      });
      this.#flush(port, batch);
      return;
    }
    const other = this.#sides[1 - port] as Arrangement;
    if (this.#keySlots.length < batch.length) this.#keySlots = new Int32Array(batch.length);
    const keySlots = this.#keySlots;
    other.probe(batch, this.#keys[port], keySlots);
    const { heads, next } = other.chains;
    const weights = other.weights;
    for (let i = 0; i < batch.length; i++) {
      const row = order === null ? i : order[i];
      const key = keySlots[row];
      if (key === NONE) continue;
      const weight = batch.weights === null ? 1 : batch.weights[row];
      for (let slot = heads[key]; slot !== NONE; slot = next[slot]) {
        pairs.add(row, slot, weights === null ? weight : weight * weights[slot]);
        if (pairs.full) this.#flush(port, batch);
      }
    }
    this.#flush(port, batch);
  }

  #flush(port: number, batch: Batch): void {
    const pairs = this.#pairs;
    if (pairs.count === 0) return;
    if (!this.#shows && this.#residual === null) {
      this.#count(port, batch, null, pairs.count);
      pairs.clear();
      return;
    }
    let joined = pairs.build(batch, this.#sides[1 - port].columns, port === LEFT);
    if (this.#residual !== null) {
      const { rows, count } = this.#residual(joined);
      this.#count(port, batch, rows, count);
      if (count < joined.length) joined = gatherBatch(joined, rows, count);
    } else {
      this.#count(port, batch, null, pairs.count);
    }
    pairs.clear();
    if (this.#shows) this.emit(joined);
  }

  #count(port: number, batch: Batch, selected: Int32Array | null, count: number): void {
    const { rows, slots } = this.#pairs;
    this.#counts[port]?.addToRows(rows, slots, this.#sides[1 - port].weights, selected, count);
    this.#counts[1 - port]?.addToSlots(rows, slots, batch.weights, selected, count);
  }

  /** Rows of one side, with NULLs for the other's columns where those are output. */
  #emitAlone(port: number, batch: Batch): void {
    if (batch.length === 0) return;
    if (!this.#shows) {
      this.emit(batch);
      return;
    }
    const nulls = this.#types[1 - port].map((type) => nullColumn(type, batch.length));
    const columns = port === LEFT ? [...batch.columns, ...nulls] : [...nulls, ...batch.columns];
    this.emit({ length: batch.length, columns, weights: batch.weights });
  }
}
