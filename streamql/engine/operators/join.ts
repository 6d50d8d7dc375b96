import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { nullColumn } from '../../../src/values/column.ts';
import { BIGINT, type SqlType } from '../../../src/values/types.ts';
import type { Join } from '../../plan/plan.ts';
import { timeRangeOf } from '../../plan/time-range.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { Arrangement } from '../state/arrangement.ts';
import { NONE } from '../state/chains.ts';
import type { JoinRows } from '../state/join-rows.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Timeline } from '../state/timeline.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { comingFirst, JoinPairs, splitByNullKey } from './join-pairs.ts';
import { type JoinSide, MatchCounts } from './match-counts.ts';
import { RangeProbe } from './range-probe.ts';

/** The rows of a batch that satisfy a condition, ascending in `rows[0..count)`. */
export type Selector = (batch: Batch) => { readonly rows: Int32Array; readonly count: number };

/** A side whose rows somebody else keeps: they have all changes of the epoch when it ends. */
export interface SharedSide {
  readonly port: 0 | 1;
  /** Columns as of the side. */
  readonly rows: JoinRows;
  /** Which of them are the side's, by other columns of theirs; null: all. */
  readonly filter: { readonly columns: readonly StateColumn[]; readonly keeps: Selector } | null;
  /** Whether the join follows their changes; before that, none has come to it. */
  readonly isFollowed: () => boolean;
  /** All rows of the side. */
  scan(): Batch;
}

const LEFT = 0;
const RIGHT = 1;

/**
 * Joins of every kind: Δ(A⋈B) = ΔA⋈B + A⋈ΔB + ΔA⋈ΔB, done as two steps because batches come one at a time: a batch meets the
 * other side as it stands and then joins its own. Weights multiply. NULL keys match nothing, unless the join is null safe.
 *
 * A side that shows rows by whether they have a match (the left one of left, semi and anti joins, both of a full join) also keeps,
 * per row, the weight of the rows that match it; a row turns when that becomes 0 or is 0 no more. A semi join shows the rows
 * whose weight is above 0, the others those where it is 0, with NULLs for the other side's columns.
 *
 * Where one side's rows are shared they have changed already when its changes come here, at whatever moment of the epoch. So all input waits for the
 * epoch's end, and then Δ(A⋈B) = A⋈ΔB + ΔA⋈(B+ΔB) with B the shared side: its changes meet the other side as it was, the other
 * side's changes meet it as it is.
 */
export class JoinOperator extends OperatorBase {
  /** What the join keeps itself; null for a shared side. */
  readonly #sides: [Arrangement | Timeline | null, Arrangement | Timeline | null];
  #shared: SharedSide | null;
  readonly #waiting: readonly [Batch[], Batch[]] = [[], []];
  readonly #makeSide: (port: 0 | 1) => Arrangement;
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
    shared: SharedSide | null = null,
  ) {
    super(info, context);
    this.#shared = shared;
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
    this.#makeSide = (port) => {
      const id = `${this.id}.${port === LEFT ? 'left' : 'right'}`;
      return new Arrangement(id, this.#types[port], this.#keys[port], retractable[port], extra(port));
    };
    this.#sides =
      this.#range === null
        ? [shared?.port === LEFT ? null : this.#makeSide(LEFT), shared?.port === RIGHT ? null : this.#makeSide(RIGHT)]
        : [...this.#range.sides];
    this.#sides.forEach((one, port) => {
      if (one !== null) one.table.holds = wholeRows(port, this.#types[port].length);
    });
    const counts = (port: number): MatchCounts | null =>
      counted[port] ? new MatchCounts(this.#sides[port] as JoinSide, plan.kind === 'semi') : null;
    this.#counts = [counts(LEFT), counts(RIGHT)];
  }

  override get state(): readonly StateTable[] {
    return this.#sides.flatMap((side) => side?.table ?? []);
  }

  get shared(): SharedSide | null {
    return this.#shared;
  }

  /** Between epochs: from now on the join keeps the shared side too, of which it has no row yet. */
  own(): void {
    const { port } = this.#shared!;
    const side = this.#makeSide(port);
    side.table.holds = wholeRows(port, this.#types[port].length);
    this.#sides[port] = side;
    this.#shared = null;
  }

  /** Where the join keeps a side; null for a shared one. */
  tableOf(port: number): StateTable | null {
    return this.#sides[port]?.table ?? null;
  }

  /** What the join keeps of a side, between epochs. */
  rowsOf(port: number): Batch {
    const side = this.#sides[port]!;
    const slots = side.table.aliveSlots();
    const { weights } = side;
    return {
      length: slots.length,
      columns: side.columns.map((column) => column.gather(slots, slots.length)),
      weights: weights === null ? null : slots.map((slot) => weights[slot]),
    };
  }

  /** Rows of a side that have met the other side before. */
  fill(port: number, rows: Batch): void {
    const keyed = this.#keyed(port, rows);
    if (keyed.length > 0) this.#sides[port]!.apply(keyed, () => undefined);
  }

  push(port: number, batch: Batch): void {
    if (this.#shared === null) this.#take(port, batch);
    else this.#waiting[port].push(batch);
  }

  #take(port: number, whole: Batch): void {
    const batch = this.#withKeys(port, whole);
    if (batch.length === 0) return;
    const mine = this.#counts[port];
    mine?.begin(batch.length);
    this.#meet(port, batch);
    if (mine !== null) this.#emitAlone(port, mine.shownOf(batch));
    const turned = this.#counts[1 - port]?.turned() ?? null;
    if (turned !== null) this.#emitAlone(1 - port, turned);
    this.#sides[port]?.apply(batch, (slots, rows, count) => mine?.keep(slots, rows, count));
  }

  advance(port: number, micros: number): void {
    this.#range?.advance(port, micros);
  }

  override endEpoch(): void {
    if (this.#shared !== null) {
      const { port } = this.#shared;
      for (const one of [port, 1 - port]) for (const batch of this.#waiting[one].splice(0)) this.#take(one, batch);
    }
    this.#range?.sweep();
  }

  /** The rows whose key has no NULL; where rows without a match are shown, the others pass at once. */
  #withKeys(port: number, batch: Batch): Batch {
    const split = this.#splitByKey(port, batch);
    if (split === null) return batch;
    if (this.#counts[port] !== null && this.#kind !== 'semi') {
      this.#emitAlone(port, gatherBatch(batch, split.nullKeyed, split.nullCount));
    }
    return gatherBatch(batch, split.keyed, split.keyedCount);
  }

  #keyed(port: number, batch: Batch): Batch {
    const split = this.#splitByKey(port, batch);
    return split === null ? batch : gatherBatch(batch, split.keyed, split.keyedCount);
  }

  #splitByKey(port: number, batch: Batch): ReturnType<typeof splitByNullKey> {
    const times = this.#range === null ? [] : [this.#range.times[port]];
    return this.#nullSafe ? null : splitByNullKey(batch, [...this.#keys[port], ...times]);
  }

  /** The rows of a side as the other side meets them. */
  #rowsOf(port: number): Pick<JoinRows, 'columns' | 'weights'> {
    return this.#sides[port] ?? this.#shared!.rows;
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
    const other = (this.#sides[1 - port] as Arrangement | null) ?? this.#shared!.rows;
    if (this.#sides[1 - port] === null && !this.#shared!.isFollowed()) return;
    if (this.#keySlots.length < batch.length) this.#keySlots = new Int32Array(batch.length);
    const keySlots = this.#keySlots;
    other.probe(batch, this.#keys[port], keySlots);
    const { chains, weights } = other;
    const heads = chains?.heads ?? null;
    const next = chains?.next ?? null;
    for (let i = 0; i < batch.length; i++) {
      const row = order === null ? i : order[i];
      const key = keySlots[row];
      if (key === NONE) continue;
      const weight = batch.weights === null ? 1 : batch.weights[row];
      if (heads === null || next === null) {
        pairs.add(row, key, weight);
        if (pairs.full) this.#flush(port, batch);
        continue;
      }
      for (let slot = heads[key]; slot !== NONE; slot = next[slot]) {
        pairs.add(row, slot, weights === null ? weight : weight * weights[slot]);
        if (pairs.full) this.#flush(port, batch);
      }
    }
    this.#flush(port, batch);
  }

  #flush(port: number, batch: Batch): void {
    const pairs = this.#pairs;
    if (this.#sides[1 - port] === null) this.#dropOthers();
    if (pairs.count === 0) return;
    if (!this.#shows && this.#residual === null) {
      this.#count(port, batch, null, pairs.count);
      pairs.clear();
      return;
    }
    let joined = pairs.build(batch, this.#rowsOf(1 - port).columns, port === LEFT);
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

  /** Of the pairs with rows of the shared store, leaves those whose row belongs to the side. */
  #dropOthers(): void {
    const { filter } = this.#shared!;
    const pairs = this.#pairs;
    if (filter === null || pairs.count === 0) return;
    const columns = filter.columns.map((column) => column.gather(pairs.slots, pairs.count));
    const { rows, count } = filter.keeps({ length: pairs.count, columns, weights: null });
    pairs.keep(rows, count);
  }

  #count(port: number, batch: Batch, selected: Int32Array | null, count: number): void {
    const { rows, slots } = this.#pairs;
    this.#counts[port]?.addToRows(rows, slots, this.#rowsOf(1 - port).weights, selected, count);
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
