import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { allocate, type Column, PlainColumn } from '../../../src/values/column.ts';
import { BIGINT, type SqlType } from '../../../src/values/types.ts';
import type { Join } from '../../plan/plan.ts';
import type { StateTable } from '../operator.ts';
import { Arrangement } from '../state/arrangement.ts';
import { NONE } from '../state/chains.ts';
import { grown } from '../state/state-column.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { comingFirst, JoinPairs, room, splitByNullKey } from './join-pairs.ts';

/** The rows of a batch that satisfy a condition, ascending in `rows[0..count)`. */
export type Selector = (batch: Batch) => { readonly rows: Int32Array; readonly count: number };

const LEFT = 0;
const RIGHT = 1;

/**
 * Inner, left and cross join: Δ(A⋈B) = ΔA⋈B + A⋈ΔB + ΔA⋈ΔB, done as two steps because batches come one at a time: a
 * batch meets the other side as it stands and then joins its own. Weights multiply. NULL keys match nothing.
 *
 * A left join also keeps, per left row, the weight of right rows that match it; the row stands alone (NULLs to its right)
 * exactly while that is 0.
 */
export class JoinOperator extends OperatorBase {
  readonly #sides: readonly [Arrangement, Arrangement];
  readonly #keys: readonly [readonly number[], readonly number[]];
  readonly #residual: Selector | null;
  readonly #outer: boolean;
  readonly #rightTypes: readonly SqlType[];
  readonly #pairs = new JoinPairs();
  #keySlots: Int32Array = new Int32Array(0);
  /** Left joins, per row of a left batch: weight of its matches. */
  #matches: Float64Array = new Float64Array(0);
  /** Left joins, during a right batch: left slots whose matches changed, and what they were. */
  #mark = new Uint8Array(16);
  #changed: Int32Array = new Int32Array(64);
  #changedCount = 0;
  #before = new Float64Array(64);

  constructor(
    info: OperatorInfo,
    context: OperatorContext,
    plan: Join,
    retractable: readonly [left: boolean, right: boolean],
    residual: Selector | null,
  ) {
    super(info, context);
    this.#outer = plan.kind === 'left';
    this.#residual = residual;
    this.#keys = [plan.keys.map(([left]) => left), plan.keys.map(([, right]) => right)];
    this.#rightTypes = plan.right.schema.map((column) => column.type);
    const types = plan.left.schema.map((column) => column.type);
    this.#sides = [
      new Arrangement(`${this.id}.left`, types, this.#keys[LEFT], retractable[LEFT], this.#outer ? [BIGINT] : []),
      new Arrangement(`${this.id}.right`, this.#rightTypes, this.#keys[RIGHT], retractable[RIGHT]),
    ];
  }

  override get state(): readonly StateTable[] {
    return this.#sides.map((side) => side.table);
  }

  push(port: number, whole: Batch): void {
    const batch = this.#withKeys(port, whole);
    if (batch.length === 0) return;
    if (this.#outer && port === LEFT) this.#matches = zeroed(this.#matches, batch.length);
    this.#meet(port, batch);
    if (this.#outer && port === LEFT) this.#emitUnmatched(batch);
    if (this.#outer && port === RIGHT) this.#emitTurned();
    this.#sides[port].apply(batch, (slots, rows, count) => {
      if (!this.#outer || port === RIGHT) return;
      const matches = this.#sides[LEFT].extra(0).values as Float64Array;
      for (let i = 0; i < count; i++) matches[slots[i]] = this.#matches[rows[i]];
    });
  }

  /** The rows whose key has no NULL; a left join lets the others pass at once. */
  #withKeys(port: number, batch: Batch): Batch {
    const split = splitByNullKey(batch, this.#keys[port]);
    if (split === null) return batch;
    if (this.#outer && port === LEFT) {
      this.emit(this.#alone(gatherBatch(batch, split.nullKeyed, split.nullCount)));
    }
    return gatherBatch(batch, split.keyed, split.keyedCount);
  }

  /** Pairs every row with the matching rows of the other side and emits them. */
  #meet(port: number, batch: Batch): void {
    const other = this.#sides[1 - port];
    if (this.#keySlots.length < batch.length) this.#keySlots = new Int32Array(batch.length);
    const keySlots = this.#keySlots;
    other.probe(batch, this.#keys[port], keySlots);
    const { heads, next } = other.chains;
    const weights = other.weights;
    const pairs = this.#pairs;
    const order = comingFirst(batch);
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
    let joined = pairs.build(batch, this.#sides[1 - port].columns, port === LEFT);
    if (this.#residual !== null) {
      const { rows, count } = this.#residual(joined);
      if (this.#outer) this.#countMatches(port, batch, rows, count);
      if (count < joined.length) joined = gatherBatch(joined, rows, count);
    } else if (this.#outer) {
      this.#countMatches(port, batch, null, pairs.count);
    }
    pairs.clear();
    this.emit(joined);
  }

  #countMatches(port: number, batch: Batch, selected: Int32Array | null, count: number): void {
    const { rows, slots } = this.#pairs;
    if (port === LEFT) {
      const rightWeights = this.#sides[RIGHT].weights;
      for (let k = 0; k < count; k++) {
        const at = selected === null ? k : selected[k];
        this.#matches[rows[at]] += rightWeights === null ? 1 : rightWeights[slots[at]];
      }
      return;
    }
    const left = this.#sides[LEFT];
    const matches = left.extra(0).values as Float64Array;
    if (this.#mark.length < left.table.capacity) this.#mark = grown(this.#mark, left.table.capacity);
    for (let k = 0; k < count; k++) {
      const at = selected === null ? k : selected[k];
      const slot = slots[at];
      if (this.#mark[slot] === 0) this.#noteChanged(slot, matches[slot]);
      matches[slot] += batch.weights === null ? 1 : batch.weights[rows[at]];
    }
  }

  #noteChanged(slot: number, before: number): void {
    this.#mark[slot] = 1;
    this.#changed = room(this.#changed, this.#changedCount + 1);
    if (this.#before.length < this.#changed.length) this.#before = grown(this.#before, this.#changed.length);
    this.#before[this.#changedCount] = before;
    this.#changed[this.#changedCount++] = slot;
    this.#sides[LEFT].table.touch(slot);
  }

  /** Left rows of this batch that nothing matched. */
  #emitUnmatched(batch: Batch): void {
    const rows = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) if (this.#matches[row] === 0) rows[count++] = row;
    if (count > 0) this.emit(this.#alone(count === batch.length ? batch : gatherBatch(batch, rows, count)));
  }

  /** Left rows that got their first match, or lost their last, by this right batch. */
  #emitTurned(): void {
    const left = this.#sides[LEFT];
    const matches = left.extra(0).values as Float64Array;
    const slots = new Int32Array(this.#changedCount);
    const weights = new Int32Array(this.#changedCount);
    let count = 0;
    for (let i = 0; i < this.#changedCount; i++) {
      const slot = this.#changed[i];
      this.#mark[slot] = 0;
      assert(matches[slot] >= 0, `${this.id}: a row was taken back that is not there`);
      if ((this.#before[i] === 0) === (matches[slot] === 0)) continue;
      const weight = left.weights === null ? 1 : left.weights[slot];
      weights[count] = matches[slot] === 0 ? weight : -weight;
      slots[count++] = slot;
    }
    this.#changedCount = 0;
    if (count === 0) return;
    const columns = left.columns.map((column) => column.gather(slots, count));
    this.emit(this.#alone({ length: count, columns, weights: weights.subarray(0, count) }));
  }

  /** Left rows with NULLs to their right. */
  #alone(left: Batch): Batch {
    const nulls = this.#rightTypes.map((type) => nullColumn(type, left.length));
    return { length: left.length, columns: [...left.columns, ...nulls], weights: left.weights };
  }
}

function nullColumn(type: SqlType, length: number): Column {
  const values = allocate(type, length);
  return new PlainColumn(
    type,
    length,
    Array.isArray(values) ? new Array<null>(length).fill(null) : values,
    new Uint8Array(length).fill(1),
  );
}

function zeroed(array: Float64Array, length: number): Float64Array {
  return array.length < length ? new Float64Array(length) : array.fill(0, 0, length);
}
