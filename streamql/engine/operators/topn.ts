import { assert } from '../../../src/lib/assert.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { PlainColumn } from '../../../src/values/column.ts';
import { BIGINT } from '../../../src/values/types.ts';
import type { TopN } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { grown, type Visit } from '../state/arrays.ts';
import { Expiry, type ExpiryColumn, partitionExpiry } from '../state/expiry.ts';
import { KeyTable } from '../state/key-table.ts';
import { EMPTY, OrderedSets } from '../state/ordered-set.ts';
import { type RowOrder, totalOrder } from '../state/row-order.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { comingFirst } from './join-pairs.ts';

/** A partition that this epoch changed, and its rows by rank when the epoch began. */
interface Touched {
  readonly partition: number;
  readonly before: Int32Array;
}

/**
 * The first `limit` rows of each partition. State: the distinct rows with their weights, each partition's in an ordered set;
 * over append-only input only the rows that are among the first. Rows that leave during an epoch keep their slot until its
 * end, because what was shown before must then be taken back. O(log n) per row, O(limit) per touched partition and epoch.
 */
export class TopNOperator extends OperatorBase {
  readonly #limit: number;
  readonly #rank: boolean;
  readonly #partitionBy: readonly number[];
  readonly #appendOnly: boolean;
  readonly #order: RowOrder;
  /** Whole rows → weight, which over append-only input is 1 but for what older checkpoints hold. */
  readonly #rows: RowTable;
  readonly #sets: OrderedSets;
  /** Derived from the rows: partition keys, and by their slot the ordered set and the total weight in it. */
  #partitions: KeyTable;
  #roots = new Int32Array(16);
  #totals = new Float64Array(16);
  #mark = new Uint8Array(16);
  #touched: Touched[] = [];
  /** Row slots whose weight fell to 0 in this epoch. */
  #dying: number[] = [];
  #slots = new Int32Array(0);
  #partitionSlots = new Int32Array(0);
  /** Among the partition columns. */
  readonly #expires: ExpiryColumn | null;
  #expiry: Expiry | null = null;
  readonly advance?: (port: number, micros: number) => void;
  readonly output?: () => Batch;

  constructor(info: OperatorInfo, context: OperatorContext, plan: TopN, appendOnly: boolean) {
    super(info, context);
    this.#limit = plan.limit;
    this.#rank = plan.rank;
    this.#partitionBy = plan.partitionBy;
    this.#appendOnly = appendOnly;
    const types = plan.input.schema.map((column) => column.type);
    this.#rows = new RowTable(`${this.id}.rows`, types, [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => this.#derived(visit),
      // Rows that are never taken back need not be found: equal ones have slots of their own.
      indexed: !appendOnly,
    });
    this.#rows.holds = wholeRows(0, types.length);
    this.#order = totalOrder(types.length, plan.orderBy);
    const { columns } = this.#rows.keys;
    this.#sets = new OrderedSets((a, b) => this.#order(columns, a, columns, b) || a - b);
    this.#expires = partitionExpiry(plan);
    this.#partitions = this.#newPartitions();
    if (this.#expires !== null) this.advance = (port, micros) => this.#advance(port, micros);
    // What partitions that were let go showed nobody knows any more.
    else this.output = () => this.#shown();
  }

  override get state(): readonly StateTable[] {
    return [this.#rows];
  }

  push(_port: number, whole: Batch): void {
    if (this.#limit === 0) return;
    this.#rows.ready();
    const { batch, partitions } = this.#admit(whole);
    const length = batch.length;
    if (length === 0) return;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    if (this.#appendOnly) this.#rows.append(batch.columns, length, this.#slots);
    else this.#rows.upsert(batch.columns, length, this.#slots);
    const order = comingFirst(batch);
    for (let i = 0; i < length; i++) {
      const row = order === null ? i : order[i];
      this.#change(this.#slots[row], partitions[row], batch.weights === null ? 1 : batch.weights[row]);
    }
  }

  override endEpoch(): void {
    for (const touched of this.#touched) this.#mark[touched.partition] = 0;
    this.#emitChanges();
    this.#touched = [];
    for (const slot of this.#dying) {
      if (this.#rows.keys.alive(slot) && this.#weights()[slot] === 0) this.#rows.release(slot);
    }
    this.#dying = [];
    if (this.#expiry !== null) this.#letGo(this.#expiry);
  }

  #advance(port: number, micros: number): void {
    this.#rows.ready();
    this.#expiry!.advance(port, micros);
  }

  /** What partitions showed stays. */
  #letGo(expiry: Expiry): void {
    for (const partition of expiry.due()) {
      const slots: number[] = [];
      this.#sets.walk(this.#roots[partition], (slot) => slots.push(slot) > 0);
      for (const slot of slots) this.#rows.release(slot);
      this.#roots[partition] = EMPTY;
      this.#totals[partition] = 0;
      this.#partitions.release(partition);
    }
  }

  /** Finds or makes the rows' partitions; over append-only input drops at once what cannot be among the first. */
  #admit(batch: Batch): { batch: Batch; partitions: Int32Array } {
    if (this.#partitionSlots.length < batch.length) this.#partitionSlots = new Int32Array(batch.length);
    const partitions = this.#partitionSlots;
    const made = this.#partitions.upsert(
      this.#partitionBy.map((column) => batch.columns[column]),
      batch.length,
      partitions,
    );
    this.#growPartitions();
    for (let i = 0; i < made; i++) this.#roots[this.#partitions.fresh[i]] = EMPTY;
    this.#expiry?.add(this.#partitions.fresh, made);
    for (let row = 0; row < batch.length; row++) {
      if (this.#mark[partitions[row]] === 0) this.#note(partitions[row]);
    }
    if (!this.#appendOnly) return { batch, partitions };
    assert(batch.weights === null, `${this.id}: a weight came to an input that is only appended to`);
    const kept = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      const partition = partitions[row];
      if (this.#totals[partition] >= this.#limit) {
        const worst = this.#sets.last(this.#roots[partition]);
        if (this.#order(batch.columns, row, this.#rows.keys.columns, worst) >= 0) continue;
      }
      partitions[count] = partition;
      kept[count++] = row;
    }
    if (count === batch.length) return { batch, partitions };
    return {
      batch: { length: count, columns: batch.columns.map((column) => column.gather(kept, count)), weights: null },
      partitions,
    };
  }

  #change(slot: number, partition: number, weight: number): void {
    const weights = this.#weights();
    const before = weights[slot];
    const after = before + weight;
    assert(after >= 0, `${this.id}: a row was taken back that is not there`);
    weights[slot] = after;
    this.#rows.touch(slot);
    this.#totals[partition] += weight;
    if (before === 0 && after > 0) this.#roots[partition] = this.#sets.insert(this.#roots[partition], slot);
    if (before > 0 && after === 0) this.#leave(slot, partition);
    while (this.#appendOnly && this.#totals[partition] > this.#limit) this.#evict(partition);
  }

  #leave(slot: number, partition: number): void {
    this.#roots[partition] = this.#sets.remove(this.#roots[partition], slot);
    this.#dying.push(slot);
  }

  /** Lets the last row go by as many copies as are too many. */
  #evict(partition: number): void {
    const weights = this.#weights();
    const slot = this.#sets.last(this.#roots[partition]);
    const copies = Math.min(weights[slot], this.#totals[partition] - this.#limit);
    weights[slot] -= copies;
    this.#totals[partition] -= copies;
    this.#rows.touch(slot);
    if (weights[slot] === 0) this.#leave(slot, partition);
  }

  #note(partition: number): void {
    this.#mark[partition] = 1;
    this.#touched.push({ partition, before: this.#firstRows(partition) });
  }

  /** Slots by rank; a row of weight 2 takes two ranks. */
  #firstRows(partition: number): Int32Array {
    const total = this.#totals[partition];
    if (total === 0) return NOTHING;
    const slots = new Int32Array(Math.min(total, this.#limit));
    const weights = this.#weights();
    let count = 0;
    this.#sets.walk(this.#roots[partition], (slot) => {
      for (let copies = weights[slot]; copies > 0 && count < slots.length; copies--) slots[count++] = slot;
      return count < slots.length;
    });
    return slots;
  }

  #emitChanges(): void {
    const gone = new Output();
    const come = new Output();
    const counts = new Map<number, number>();
    for (const { partition, before } of this.#touched) {
      const after = this.#firstRows(partition);
      if (this.#rank) diffByRank(before, after, gone, come);
      else diffAsSets(before, after, counts, gone, come);
      if (this.#totals[partition] === 0 && this.#partitions.alive(partition)) this.#partitions.release(partition);
    }
    this.#emitRows(gone, -1);
    this.#emitRows(come, 1);
  }

  #shown(): Batch {
    this.#rows.ready();
    const all = new Output();
    for (const partition of this.#partitions.aliveSlots()) {
      const slots = this.#firstRows(partition);
      for (let i = 0; i < slots.length; i++) {
        all.slots.push(slots[i]);
        all.ranks.push(i + 1);
      }
    }
    return this.#rowsOf(all, 1);
  }

  #emitRows(out: Output, weight: 1 | -1): void {
    if (out.slots.length > 0) this.emit(this.#rowsOf(out, weight));
  }

  #rowsOf(out: Output, weight: 1 | -1): Batch {
    const count = out.slots.length;
    const slots = Int32Array.from(out.slots);
    const columns = this.#rows.keys.columns.map((column) => column.gather(slots, count));
    if (this.#rank) columns.push(new PlainColumn(BIGINT, count, Float64Array.from(out.ranks), null));
    return { length: count, columns, weights: weight === 1 ? null : new Int32Array(count).fill(-1) };
  }

  #weights(): Float64Array {
    return this.#rows.values[0].values as Float64Array;
  }

  #newPartitions(): KeyTable {
    const keys = new KeyTable(this.#partitionBy.map((column) => this.#rows.keys.columns[column].type));
    this.#expiry = this.#expires === null ? null : new Expiry(keys, this.#expires);
    return keys;
  }

  #derived(visit: Visit): void {
    this.#sets.arrays(visit);
    this.#partitions.arrays(visit);
    this.#roots = visit(this.#roots);
    this.#totals = visit(this.#totals);
    this.#mark = visit(this.#mark);
    this.#expiry?.arrays(visit);
  }

  #growPartitions(): void {
    const capacity = this.#partitions.capacity;
    if (this.#roots.length >= capacity) return;
    this.#roots = grown(this.#roots, capacity);
    this.#totals = grown(this.#totals, capacity);
    this.#mark = grown(this.#mark, capacity);
  }

  #rebuild(): void {
    const slots = this.#rows.keys.aliveSlots();
    const count = slots.length;
    this.#partitions = this.#newPartitions();
    this.#partitionSlots = new Int32Array(count);
    const keys = this.#partitionBy.map((column) => this.#rows.keys.columns[column].gather(slots, count));
    const made = this.#partitions.upsert(keys, count, this.#partitionSlots);
    this.#growPartitions();
    this.#totals.fill(0);
    for (let i = 0; i < made; i++) this.#roots[this.#partitions.fresh[i]] = EMPTY;
    this.#expiry?.add(this.#partitions.fresh, made);
    const weights = this.#weights();
    for (let i = 0; i < count; i++) {
      const partition = this.#partitionSlots[i];
      this.#roots[partition] = this.#sets.insert(this.#roots[partition], slots[i]);
      this.#totals[partition] += weights[slots[i]];
    }
  }
}

const NOTHING = new Int32Array(0);

class Output {
  readonly slots: number[] = [];
  readonly ranks: number[] = [];
}

/** A row is shown with its rank, so a rank shows something new whenever another row takes it. */
function diffByRank(before: Int32Array, after: Int32Array, gone: Output, come: Output): void {
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    if (i < before.length && i < after.length && before[i] === after[i]) continue;
    if (i < before.length) {
      gone.slots.push(before[i]);
      gone.ranks.push(i + 1);
    }
    if (i < after.length) {
      come.slots.push(after[i]);
      come.ranks.push(i + 1);
    }
  }
}

function diffAsSets(
  before: Int32Array,
  after: Int32Array,
  counts: Map<number, number>,
  gone: Output,
  come: Output,
): void {
  let same = 0;
  while (same < before.length && same < after.length && before[same] === after[same]) same++;
  if (same === before.length && same === after.length) return;
  counts.clear();
  for (let i = same; i < before.length; i++) counts.set(before[i], (counts.get(before[i]) ?? 0) - 1);
  for (let i = same; i < after.length; i++) counts.set(after[i], (counts.get(after[i]) ?? 0) + 1);
  for (const [slot, count] of counts) {
    for (let n = count; n < 0; n++) gone.slots.push(slot);
    for (let n = count; n > 0; n--) come.slots.push(slot);
  }
}
