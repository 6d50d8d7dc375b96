import { assert } from '../../../src/lib/assert.ts';
import { type Column, PlainColumn } from '../../../src/values/column.ts';
import { BIGINT, type Datum, INTEGER, type SqlType } from '../../../src/values/types.ts';
import type { GroupRows } from '../../functions/group-rows.ts';
import type { SortKey } from '../../plan/plan.ts';
import type { StateTable } from '../operator.ts';
import { grown } from '../state/arrays.ts';
import { EMPTY, OrderedSets } from '../state/ordered-set.ts';
import { totalOrder } from '../state/row-order.ts';
import { RowTable } from '../state/row-table.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Accumulator, Contribution } from './accumulators.ts';

/** The rows that an aggregate over rows looks at: which columns of the input, their types, and the order. */
export interface RowShape {
  /** Input positions; those of the order come first. */
  readonly columns: readonly number[];
  readonly types: readonly SqlType[];
  /** Over positions in `columns`. */
  readonly orderBy: readonly SortKey[];
  /** Positions in `columns` of the arguments; `b` is −1 where there is one. */
  readonly a: number;
  readonly b: number;
}

/**
 * The rows of each group in an order of their own, equal ones together with their count: what array_agg, percentiles and their like read.
 * O(log n) per row that comes or goes, also for the row at a position. A row whose count is 0 leaves at the end of the epoch, so that the
 * order in which changes come does not matter.
 */
export class OrderedRows implements Accumulator {
  readonly types = [];
  readonly tables: readonly StateTable[];
  readonly shape: RowShape;
  /** (group slot, row) → count. */
  readonly #table: RowTable;
  readonly #sets: OrderedSets;
  /** By group slot. */
  #roots = new Int32Array(16).fill(EMPTY);
  #changed = new Int32Array(64);
  #changedCount = 0;
  #slots = new Int32Array(0);
  readonly #distinct: boolean;
  readonly #positions: boolean;
  readonly #view: View;

  /** `positions`: the row at a position is asked for. */
  constructor(id: string, shape: RowShape, distinct: boolean, positions: boolean) {
    this.shape = shape;
    this.#distinct = distinct;
    this.#positions = positions;
    this.#table = new RowTable(id, [INTEGER, ...shape.types], [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => {
        this.#sets.arrays(visit);
        this.#roots = visit(this.#roots);
      },
    });
    const columns = this.#table.keys.columns.slice(1);
    const order = totalOrder(shape.types.length, shape.orderBy);
    this.#sets = new OrderedSets(
      (a, b) => order(columns, a, columns, b),
      positions ? (slot) => this.#timesOf(slot) : null,
    );
    this.tables = [this.#table];
    this.#view = new View(this.#sets, this.#table, shape, (slot) => this.#timesOf(slot));
  }

  attach(): void {}
  init(): void {}

  /** The group's rows, valid until the next call. Only between the end of an epoch and the next change of the group. */
  rowsOf(group: number): GroupRows {
    this.#table.ready();
    this.#view.root = group < this.#roots.length ? this.#roots[group] : EMPTY;
    return this.#view;
  }

  update(from: Contribution): void {
    const { weights, rows, count } = from;
    if (this.#slots.length < count) this.#slots = new Int32Array(count);
    const slots = this.#slots;
    const made = this.#table.upsert(groupAndRow(from, this.shape.columns), count, slots);
    const { fresh, columns } = this.#table.keys;
    const groups = columns[0].values as Int32Array;
    const counts = this.#table.values[0].values as Float64Array;
    for (let k = 0; k < count; k++) {
      const slot = slots[k];
      counts[slot] += weights === null ? 1 : weights[rows === null ? k : rows[k]];
      this.#table.touch(slot);
      if (counts[slot] <= 0 || this.#positions) this.#note(slot);
    }
    for (let i = 0; i < made; i++) this.#insert(groups[fresh[i]], fresh[i]);
  }

  release(group: number): void {
    assert(group >= this.#roots.length || this.#roots[group] === EMPTY, 'a group without rows still has values');
  }

  drop(group: number): void {
    this.#table.ready();
    if (group >= this.#roots.length || this.#roots[group] === EMPTY) return;
    const slots: number[] = [];
    this.#sets.walk(this.#roots[group], (slot) => slots.push(slot) > 0);
    for (const slot of slots) this.#table.release(slot);
    this.#roots[group] = EMPTY;
  }

  /** Lets go of the rows whose count fell to 0. Comes before the group's results are read. */
  endEpoch(): void {
    const counts = this.#table.values[0].values as Float64Array;
    const groups = this.#table.keys.columns[0].values as Int32Array;
    for (let i = 0; i < this.#changedCount; i++) {
      const slot = this.#changed[i];
      if (!this.#table.keys.alive(slot)) continue;
      const group = groups[slot];
      if (counts[slot] > 0) {
        if (this.#positions) this.#sets.reweigh(this.#roots[group], slot);
        continue;
      }
      assert(counts[slot] === 0, 'a row was taken back that is not in its group');
      this.#roots[group] = this.#sets.remove(this.#roots[group], slot);
      this.#table.release(slot);
    }
    this.#changedCount = 0;
  }

  #timesOf(slot: number): number {
    return this.#distinct ? 1 : (this.#table.values[0].values[slot] as number);
  }

  #insert(group: number, slot: number): void {
    if (group >= this.#roots.length) {
      const before = this.#roots.length;
      this.#roots = grown(this.#roots, Math.max(group + 1, before * 2)).fill(EMPTY, before);
    }
    this.#roots[group] = this.#sets.insert(this.#roots[group], slot);
  }

  #note(slot: number): void {
    if (this.#changedCount === this.#changed.length) this.#changed = grown(this.#changed, this.#changedCount * 2);
    this.#changed[this.#changedCount++] = slot;
  }

  #rebuild(): void {
    this.#roots.fill(EMPTY);
    const groups = this.#table.keys.columns[0].values as Int32Array;
    for (const slot of this.#table.aliveSlots()) this.#insert(groups[slot], slot);
  }
}

/** One group's rows; `root` says whose. */
class View implements GroupRows {
  root = EMPTY;
  readonly #sets: OrderedSets;
  readonly #a: StateColumn;
  readonly #b: StateColumn | null;
  readonly #timesOf: (slot: number) => number;

  constructor(sets: OrderedSets, table: RowTable, { a, b }: RowShape, timesOf: (slot: number) => number) {
    this.#sets = sets;
    this.#a = table.keys.columns[a + 1];
    this.#b = b < 0 ? null : table.keys.columns[b + 1];
    this.#timesOf = timesOf;
  }

  get count(): number {
    if (this.root === EMPTY) return 0;
    if (this.#sets.weighs) return this.#sets.total(this.root);
    let count = 0;
    this.#sets.walk(this.root, (slot) => {
      count += this.#timesOf(slot);
      return true;
    });
    return count;
  }

  first(): Datum | undefined {
    return this.root === EMPTY ? undefined : this.#a.get(this.#sets.first(this.root));
  }

  last(): Datum | undefined {
    return this.root === EMPTY ? undefined : this.#a.get(this.#sets.last(this.root));
  }

  at(position: number): Datum {
    assert(this.#sets.weighs, 'the row at a position needs weights');
    const slot = this.#sets.at(this.root, position);
    assert(slot !== EMPTY, 'a position beyond the rows of a group');
    return this.#a.get(slot);
  }

  each(visit: (a: Datum, b: Datum, times: number) => boolean): void {
    this.#sets.walk(this.root, (slot) =>
      visit(this.#a.get(slot), this.#b === null ? null : this.#b.get(slot), this.#timesOf(slot)),
    );
  }
}

/** The contributing rows: group slot, then the given columns. */
function groupAndRow({ slots, rows, count, columns }: Contribution, wanted: readonly number[]): Column[] {
  if (rows === null) return [new PlainColumn(INTEGER, count, slots, null), ...wanted.map((column) => columns[column])];
  const groups = new Int32Array(count);
  for (let k = 0; k < count; k++) groups[k] = slots[rows[k]];
  return [
    new PlainColumn(INTEGER, count, groups, null),
    ...wanted.map((column) => columns[column].gather(rows, count)),
  ];
}
