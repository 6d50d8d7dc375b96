import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import { type Batch, type ColumnSchema, concatBatches, gatherBatch, rowAt } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { BIGINT, type Datum } from '../../../src/values/types.ts';
import type { StateTable } from '../operator.ts';
import { consolidate } from '../runtime/consolidate.ts';
import { grown, type Visit } from '../state/arrays.ts';
import { Chains, NONE } from '../state/chains.ts';
import { type StoredRows, UniqueRows } from '../state/join-rows.ts';
import { ABSENT, KeyTable } from '../state/key-table.ts';
import { markDifferent } from '../state/row-hash.ts';
import { RowTable } from '../state/row-table.ts';
import { identity, type StateColumn } from '../state/state-column.ts';

/** A view that is only appended to stops looking for equal rows when it has this many different ones, and these are most of all. */
const APPENDED_ROWS = 4096;
const APPENDED_SHARE = 0.9;

/**
 * The rows of a materialized view: apply changes, `endEpoch`, then read. With a key there is one row per key; without, a
 * row is its own key and has a count. Changes of one epoch may come in any order; at its end the weights must come out
 * as one row per key, or none below 0, else PIPELINE_FAILED. Reads between `apply` and `endEpoch` are undefined.
 */
export class ViewStore {
  readonly columns: readonly ColumnSchema[];
  readonly key: readonly number[] | null;
  readonly #table: RowTable;
  /** By position in the view, where a column is kept. */
  readonly #stored: readonly StateColumn[];
  readonly #rest: readonly number[];
  readonly #appendOnly: boolean;
  /** By length of prefix, made when first looked up. */
  readonly #prefixes = new Map<number, Chains>();
  /** Keyed: 1 while the slot's row is taken back but the slot not released yet. */
  #gone = new Uint8Array(16);
  /** Slots to look at when the epoch ends: gone ones, or without a key those at or below 0. */
  #leaving: Int32Array = new Int32Array(64);
  #leavingCount = 0;
  /** Keyed: changes that did not fit when they came. */
  #pending: Batch[] = [];
  #total = 0;
  #slots = new Int32Array(0);

  /** `appendOnly`: no row is ever taken back. */
  constructor(id: string, columns: readonly ColumnSchema[], key: readonly number[] | null, appendOnly = false) {
    this.#appendOnly = appendOnly;
    this.columns = columns;
    this.key = key;
    const all = columns.map((_, column) => column);
    const first = key ?? all;
    this.#rest = all.filter((column) => !first.includes(column));
    const typeOf = (column: number) => columns[column].type;
    this.#table = new RowTable(id, first.map(typeOf), key === null ? [BIGINT] : this.#rest.map(typeOf), {
      rebuilt: () => this.#rebuilt(),
      derived: (visit) => this.#derived(visit),
    });
    this.#stored = all.map((column) =>
      first.includes(column)
        ? this.#table.keys.columns[first.indexOf(column)]
        : this.#table.values[this.#rest.indexOf(column)],
    );
  }

  get state(): StateTable {
    return this.#table;
  }

  /** Copies counted. */
  get rows(): number {
    const distinct = this.#table.rows;
    return this.key === null ? this.#total : distinct;
  }

  apply(batch: Batch): void {
    this.#table.ready();
    if (this.key === null) {
      this.#applyCounts(batch);
      return;
    }
    const [come, go] = bySign(batch);
    if (go !== null) this.#takeBack(go);
    if (come !== null) this.#put(come);
  }

  endEpoch(): void {
    if (this.#pending.length > 0) this.#settle();
    for (let i = 0; i < this.#leavingCount; i++) this.#leave(this.#leaving[i]);
    this.#leavingCount = 0;
  }

  /** Rows whose key begins with these values, at most `limit`. The view has a key. */
  lookup(key: readonly Datum[], limit: number): Batch {
    const whole = this.key ?? [];
    if (key.length > whole.length) {
      throw new StreamError('REQUEST_INVALID', `the key has ${whole.length} columns, not ${key.length}`);
    }
    if (key.length === 0) return this.scan(this.#all(), limit);
    const slots: number[] = [];
    if (key.length === whole.length) {
      const slot = this.#table.lookupOne(key);
      if (slot !== ABSENT && limit > 0) slots.push(slot);
    } else {
      this.#table.ready();
      const chains = this.#prefix(key.length);
      const found = chains.keys.lookupOne(key);
      let slot = found === ABSENT ? NONE : chains.heads[found];
      for (; slot !== NONE && slots.length < limit; slot = chains.next[slot]) slots.push(slot);
    }
    return this.#gather(this.#all(), Int32Array.from(slots), slots.length);
  }

  /** Some columns of all rows, or of `limit` of them; a row with a count comes that many times. */
  scan(columns: readonly number[], limit = Number.POSITIVE_INFINITY): Batch {
    const slots = this.#expandedSlots();
    return this.#gather(columns, slots, Math.min(limit, slots.length));
  }

  /** As joins read the rows, between epochs and after `endEpoch`; null unless these are the columns of the key. */
  by(columns: readonly number[]): StoredRows | null {
    const parts = { columns: this.#stored, scan: (wanted: readonly number[]) => this.scan(wanted) };
    return UniqueRows.by(columns, this.key ?? [], this.#table, parts);
  }

  /** Some columns of the rows that come out when `changes`, of which none takes back what is not there, are applied to a copy. */
  with(columns: readonly number[], changes: Batch): Batch {
    // Equal rows may have slots of their own.
    if (this.#appendOnly) return this.#sumWith(columns, changes);
    const [come, go] = bySign(changes);
    const slots = this.#expandedSlots();
    let kept = slots;
    if (go !== null) {
      const gone = new Int32Array(go.length);
      const key = this.key ?? this.#all();
      this.#table.lookup(
        key.map((column) => go.columns[column]),
        go.length,
        gone,
      );
      const fewer = new Int32Array(this.#table.capacity);
      for (const slot of gone) if (slot !== ABSENT) fewer[slot]++;
      kept = new Int32Array(slots.length);
      let count = 0;
      for (const slot of slots) {
        if (fewer[slot] === 0) kept[count++] = slot;
        else fewer[slot]--;
      }
      kept = kept.subarray(0, count);
    }
    const rest = this.#gather(columns, kept, kept.length);
    if (come === null) return rest;
    const added = { ...come, columns: columns.map((column) => come.columns[column]), weights: null };
    return concatBatches(
      columns.map((column) => this.columns[column].type),
      [rest, added],
    );
  }

  #sumWith(columns: readonly number[], changes: Batch): Batch {
    const types = this.columns.map((column) => column.type);
    const sum = consolidate(types, [this.scan(this.#all()), changes]);
    if (sum === null) return this.#gather(columns, new Int32Array(0), 0);
    const [rows] = bySign(sum);
    return { ...rows!, columns: columns.map((column) => rows!.columns[column]), weights: null };
  }

  /** The same as `scan` in batches of `size` rows; nothing may be applied meanwhile. */
  *chunks(columns: readonly number[], size: number): Generator<Batch> {
    const slots = this.#expandedSlots();
    for (let from = 0; from < slots.length; from += size) {
      const part = slots.subarray(from, from + size);
      yield this.#gather(columns, part, part.length);
    }
  }

  #applyCounts(batch: Batch): void {
    const slots = this.#slotsFor(batch);
    if (this.#table.keys.indexed) this.#table.upsert(batch.columns, batch.length, slots);
    else this.#table.append(batch.columns, batch.length, slots);
    const counts = this.#table.values[0].values as Float64Array;
    for (let row = 0; row < batch.length; row++) {
      const weight = batch.weights === null ? 1 : batch.weights[row];
      const slot = slots[row];
      counts[slot] += weight;
      this.#total += weight;
      this.#table.touch(slot);
      if (counts[slot] <= 0) this.#noteLeaving(slot);
    }
    if (!this.#appendOnly) return;
    assert(this.#leavingCount === 0, 'a row was taken back from a view that is only appended to');
    const { rows, keys } = this.#table;
    if (keys.indexed && rows >= APPENDED_ROWS && rows > this.#total * APPENDED_SHARE) keys.dropIndex();
  }

  /** Rows that come, one each: into the free place of their key, or to wait until it is free. */
  #put(batch: Batch): void {
    const slots = this.#slotsFor(batch);
    const { keys } = this.#table;
    const keyColumns = this.key!.map((column) => batch.columns[column]);
    const made = this.#table.upsert(keyColumns, batch.length, slots);
    if (this.#gone.length < this.#table.capacity) this.#gone = grown(this.#gone, this.#table.capacity);
    for (let i = 0; i < made; i++) this.#gone[keys.fresh[i]] = 1;
    for (const [length, chains] of this.#prefixes) {
      chains.link(keyColumns.slice(0, length), batch.length, keys.fresh, keys.freshRows, made);
    }
    const rows = new Int32Array(batch.length);
    const places = new Int32Array(batch.length);
    const waiting = new Int32Array(batch.length);
    let count = 0;
    let waitingCount = 0;
    for (let row = 0; row < batch.length; row++) {
      const slot = slots[row];
      if (this.#gone[slot] === 0) {
        waiting[waitingCount++] = row;
        continue;
      }
      this.#gone[slot] = 0;
      this.#table.touch(slot);
      rows[count] = row;
      places[count++] = slot;
    }
    this.#rest.forEach((column, i) => {
      this.#table.values[i].scatter(batch.columns[column], rows, places, count);
    });
    if (waitingCount > 0) this.#pending.push(weighted(batch, waiting, waitingCount, 1));
  }

  /** Rows that go, one each: the equal row of their key, or to wait until it is there. */
  #takeBack(batch: Batch): void {
    const slots = this.#slotsFor(batch);
    const keyColumns = this.key!.map((column) => batch.columns[column]);
    this.#table.lookup(keyColumns, batch.length, slots);
    if (this.#gone.length < this.#table.capacity) this.#gone = grown(this.#gone, this.#table.capacity);
    const differs = new Uint8Array(batch.length);
    const rest = this.#rest.map((column) => batch.columns[column]);
    markDifferent(rest, this.#table.values, slots, batch.length, differs);
    const waiting = new Int32Array(batch.length);
    let waitingCount = 0;
    for (let row = 0; row < batch.length; row++) {
      const slot = slots[row];
      if (slot === ABSENT || differs[row] === 1 || this.#gone[slot] === 1) {
        waiting[waitingCount++] = row;
        continue;
      }
      this.#gone[slot] = 1;
      this.#table.touch(slot);
      this.#noteLeaving(slot);
    }
    if (waitingCount > 0) this.#pending.push(weighted(batch, waiting, waitingCount, -1));
  }

  /** Adds up what had to wait and applies what is left of it. */
  #settle(): void {
    const rows = new KeyTable(this.columns.map((column) => column.type));
    let weights = new Int32Array(rows.capacity);
    for (const batch of this.#pending) {
      const slots = new Int32Array(batch.length);
      rows.upsert(batch.columns, batch.length, slots);
      if (weights.length < rows.capacity) weights = grown(weights, rows.capacity);
      for (let i = 0; i < batch.length; i++) weights[slots[i]] += batch.weights![i];
    }
    this.#pending = [];
    const all = identity(rows.end);
    for (const sign of [-1, 1]) {
      const left = all.filter((slot) => Math.sign(weights[slot]) === sign);
      if (left.length === 0) continue;
      const columns = rows.columns.map((column) => column.gather(left, left.length));
      const batch = { length: left.length, columns, weights: left.map((slot) => weights[slot]) };
      if (sign < 0) this.#takeBack(batch);
      else this.#put(batch);
      if (this.#pending.length > 0 || batch.weights.some((weight) => weight !== sign)) this.#fail(batch, sign);
    }
  }

  #fail(batch: Batch, sign: number): never {
    const [row] = this.#pending.length > 0 ? [rowAt(this.#pending[0], 0)] : [rowAt(batch, 0)];
    const text = row.map(String).join(', ');
    throw new StreamError(
      'PIPELINE_FAILED',
      sign < 0
        ? `the row (${text}) was taken back from a view that does not hold it`
        : `the row (${text}) came to a view that holds another row with its key`,
    );
  }

  #leave(slot: number): void {
    if (!this.#table.keys.alive(slot)) return;
    if (this.key === null) {
      const count = (this.#table.values[0].values as Float64Array)[slot];
      if (count > 0) return;
      if (count < 0) {
        const text = this.#stored.map((column) => String(column.get(slot))).join(', ');
        throw new StreamError('PIPELINE_FAILED', `the row (${text}) was taken back from a view that does not hold it`);
      }
    } else if (this.#gone[slot] === 0) {
      return;
    }
    for (const chains of this.#prefixes.values()) chains.unlink(slot);
    this.#table.release(slot);
  }

  #noteLeaving(slot: number): void {
    if (this.#leavingCount === this.#leaving.length) this.#leaving = grown(this.#leaving, this.#leavingCount * 2);
    this.#leaving[this.#leavingCount++] = slot;
  }

  #expandedSlots(): Int32Array {
    const slots = this.#table.aliveSlots();
    if (this.key !== null || this.#total === slots.length) return slots;
    const counts = this.#table.values[0].values as Float64Array;
    const expanded = new Int32Array(this.#total);
    let count = 0;
    for (const slot of slots) for (let copy = counts[slot]; copy > 0; copy--) expanded[count++] = slot;
    return expanded;
  }

  #gather(columns: readonly number[], slots: Int32Array, count: number): Batch {
    return {
      length: count,
      columns: columns.map((column): Column => this.#stored[column].gather(slots, count)),
      weights: null,
    };
  }

  #prefix(length: number): Chains {
    let chains = this.#prefixes.get(length);
    if (chains === undefined) {
      const { columns } = this.#table.keys;
      chains = new Chains(
        columns.slice(0, length).map((column) => column.type),
        true,
      );
      const slots = this.#table.aliveSlots();
      const keys = columns.slice(0, length).map((column) => column.gather(slots, slots.length));
      chains.link(keys, slots.length, slots, identity(slots.length), slots.length);
      this.#prefixes.set(length, chains);
    }
    return chains;
  }

  #slotsFor(batch: Batch): Int32Array {
    if (this.#slots.length < batch.length) this.#slots = new Int32Array(batch.length);
    return this.#slots;
  }

  #all(): readonly number[] {
    return this.columns.map((_, column) => column);
  }

  #derived(visit: Visit): void {
    this.#gone = visit(this.#gone);
    for (const chains of this.#prefixes.values()) chains.arrays(visit);
  }

  #rebuilt(): void {
    this.#prefixes.clear();
    if (this.key !== null) return;
    const counts = this.#table.values[0].values as Float64Array;
    this.#total = 0;
    for (const slot of this.#table.keys.aliveSlots()) this.#total += counts[slot];
  }
}

/** The batch's rows that come and those that go; a row that comes or goes n times is there n times. */
function bySign(batch: Batch): [come: Batch | null, go: Batch | null] {
  const { weights } = batch;
  if (weights === null) return [batch, null];
  let comes = 0;
  let goes = 0;
  for (let row = 0; row < batch.length; row++) {
    if (weights[row] > 0) comes += weights[row];
    else goes -= weights[row];
  }
  if (goes === batch.length && comes === 0) return [null, batch];
  const come = new Int32Array(comes);
  const go = new Int32Array(goes);
  let comeCount = 0;
  let goCount = 0;
  for (let row = 0; row < batch.length; row++) {
    for (let n = weights[row]; n > 0; n--) come[comeCount++] = row;
    for (let n = weights[row]; n < 0; n++) go[goCount++] = row;
  }
  const plain = { length: batch.length, columns: batch.columns, weights: null };
  return [comes === 0 ? null : gatherBatch(plain, come, comes), goes === 0 ? null : gatherBatch(plain, go, goes)];
}

function weighted(batch: Batch, rows: Int32Array, count: number, weight: number): Batch {
  const { columns } = gatherBatch({ length: batch.length, columns: batch.columns, weights: null }, rows, count);
  return { length: count, columns, weights: new Int32Array(count).fill(weight) };
}
