import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { type Column, PlainColumn } from '../../../src/values/column.ts';
import { BIGINT, isExact64, type SqlType } from '../../../src/values/types.ts';
import { timeBoundsOf } from '../../plan/event-time.ts';
import type { Session } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { grown, type Visit } from '../state/arrays.ts';
import { KeyTable } from '../state/key-table.ts';
import { RowTable } from '../state/row-table.ts';
import { TimeQueue } from '../state/time-queue.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { LAST_MILLISECOND } from './window.ts';

/** Times within ±2^53 µs, so up to the year 2255, are exact here. */
const MOST_MICROS = Number.MAX_SAFE_INTEGER;

/** Rows of one partition, each no more than the gap after the one before. */
interface Rows {
  readonly partition: number;
  first: number;
  last: number;
  /** Slots of its distinct rows, in no order. */
  slots: number[];
  /** Merged into another, or left without rows. */
  isGone: boolean;
}

/**
 * SESSION. State: the distinct rows with their weights; sessions are made anew from them. An epoch costs, per session whose bounds it moved,
 * its rows, which are taken back and shown with the new bounds; a session that lost rows is sorted. Where no late row can come,
 * the rows of sessions that have ended are let go.
 */
export class SessionOperator extends OperatorBase {
  readonly #time: number;
  readonly #type: SqlType;
  readonly #partitionBy: readonly number[];
  readonly #gap: number;
  /** How far below the watermark times may still come; null when they may come however late. */
  readonly #lag: number | null;
  /** Whole rows → weight. */
  readonly #rows: RowTable;
  #keys: KeyTable;
  /** By partition: its sessions in the order of time. */
  #partitions: Rows[][] = [];
  /** By row slot. */
  #sessions: (Rows | null)[] = [];
  /** What each row showed last. */
  #shownFirst = new Float64Array(16);
  #shownLast = new Float64Array(16);
  /** Rows that this epoch changed, and what their weights were. */
  #touched: number[] = [];
  #seen = new Uint8Array(16);
  #before = new Float64Array(16);
  readonly #moved = new Set<Rows>();
  #ends = new TimeQueue();
  /** Those that `#ends` has, by number. */
  readonly #ending = new Map<number, Rows>();
  #nextNumber = 0;
  #watermark: number | null = null;
  #slots = new Int32Array(0);

  constructor(info: OperatorInfo, context: OperatorContext, plan: Session) {
    super(info, context);
    this.#time = plan.timeColumn;
    this.#type = plan.input.schema[plan.timeColumn].type;
    this.#partitionBy = plan.partitionBy;
    this.#gap = plan.gapMicros;
    const bound = timeBoundsOf(plan.input).get(plan.timeColumn);
    this.#lag = bound?.firm ? bound.lagMicros : null;
    assert(isExact64(this.#type), 'a session needs a timestamp');
    const types = plan.input.schema.map((column) => column.type);
    this.#rows = new RowTable(`${this.id}.rows`, types, [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => this.#derived(visit),
      derivedBytes: () => this.#sessions.length * 24,
    });
    this.#rows.holds = wholeRows(0, types.length);
    this.#keys = this.#newKeys();
  }

  override get state(): readonly StateTable[] {
    return [this.#rows];
  }

  push(_port: number, batch: Batch): void {
    this.#rows.ready();
    const timed = this.#withTime(batch);
    const { length } = timed;
    if (length === 0) return;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    const slots = this.#slots;
    this.#rows.upsert(timed.columns, length, slots);
    this.#grow();
    const weights = this.#weights();
    for (let row = 0; row < length; row++) {
      const slot = slots[row];
      if (this.#seen[slot] === 0) {
        this.#seen[slot] = 1;
        this.#before[slot] = weights[slot];
        this.#touched.push(slot);
      }
      weights[slot] += timed.weights === null ? 1 : timed.weights[row];
      this.#rows.touch(slot);
    }
  }

  advance(_port: number, micros: number): void {
    if (this.#lag !== null) this.#watermark = micros - this.#lag;
  }

  override endEpoch(): void {
    this.#rows.ready();
    if (this.#touched.length > 0) {
      this.#arrange();
      this.#show();
    }
    if (this.#watermark !== null) this.#letGo(this.#watermark);
  }

  /** The rows that have a time, one that can be reckoned with. */
  #withTime(batch: Batch): Batch {
    const { values, nulls } = batch.columns[this.#time];
    const kept = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      if (nulls !== null && nulls[row] === 1) continue;
      const time = values[row];
      if (typeof time === 'number' && Math.abs(time) <= MOST_MICROS - this.#gap) kept[count++] = row;
      else this.context.onError('VALUE_OVERFLOW', 'the time is too far away for a session', []);
    }
    return count === batch.length ? batch : gatherBatch(batch, kept, count);
  }

  /** Puts the epoch's rows into sessions, merges and splits these. */
  #arrange(): void {
    const weights = this.#weights();
    const come: number[] = [];
    for (const slot of this.#touched) {
      assert(weights[slot] >= 0, `${this.id}: a row was taken back that is not there`);
      if (weights[slot] > 0 && this.#sessions[slot] === null) come.push(slot);
    }
    const slots = Int32Array.from(come);
    const partitions = this.#partitionsOf(slots);
    const times = this.#times();
    come.forEach((slot, i) => {
      this.#insert(partitions[i], slot, times[slot]);
    });
    const broken = new Set<Rows>();
    for (const slot of this.#touched) {
      const session = this.#sessions[slot];
      if (weights[slot] > 0 || session === null) continue;
      broken.add(session);
      this.#sessions[slot] = null;
    }
    for (const session of broken) this.#split(session);
  }

  #insert(partition: number, slot: number, time: number): void {
    const sessions = this.#partitions[partition];
    const next = startingAfter(sessions, time);
    const before = sessions[next - 1];
    const after = sessions[next];
    let session: Rows;
    if (before !== undefined && time <= before.last + this.#gap) {
      session = before;
      if (time > session.last) {
        session.last = time;
        this.#moved.add(session);
      }
    } else if (after !== undefined && after.first <= time + this.#gap) {
      session = after;
      session.first = time;
      this.#moved.add(session);
    } else {
      session = this.#open(partition, time, time);
      sessions.splice(next, 0, session);
    }
    session.slots.push(slot);
    this.#sessions[slot] = session;
    if (session === before && after !== undefined && after.first <= session.last + this.#gap)
      this.#merge(sessions, next - 1);
  }

  /** Session `at` and the one after it become one: the rows of the smaller go over. */
  #merge(sessions: Rows[], at: number): void {
    const [earlier, later] = [sessions[at], sessions[at + 1]];
    const [into, from] = earlier.slots.length >= later.slots.length ? [earlier, later] : [later, earlier];
    into.first = earlier.first;
    into.last = later.last;
    for (const slot of from.slots) {
      into.slots.push(slot);
      this.#sessions[slot] = into;
    }
    from.isGone = true;
    from.slots = [];
    this.#moved.delete(from);
    this.#moved.add(into);
    sessions.splice(at, 2, into);
  }

  /** Cuts a session that lost rows where the gaps now are. */
  #split(session: Rows): void {
    const times = this.#times();
    const sessions = this.#partitions[session.partition];
    const at = sessions.indexOf(session, Math.max(0, startingAfter(sessions, session.first) - 1));
    const left = session.slots.filter((slot) => this.#sessions[slot] === session).sort((a, b) => times[a] - times[b]);
    const parts: Rows[] = [];
    for (let from = 0; from < left.length; ) {
      let to = from + 1;
      while (to < left.length && times[left[to]] <= times[left[to - 1]] + this.#gap) to++;
      const [first, last] = [times[left[from]], times[left[to - 1]]];
      const part = this.#open(session.partition, first, last);
      part.slots = from === 0 && to === left.length ? left : left.slice(from, to);
      for (const slot of part.slots) this.#sessions[slot] = part;
      parts.push(part);
      from = to;
    }
    session.isGone = true;
    session.slots = [];
    this.#moved.delete(session);
    sessions.splice(at, 1, ...parts);
    if (sessions.length === 0) this.#keys.release(session.partition);
  }

  #open(partition: number, first: number, last: number): Rows {
    const session: Rows = { partition, first, last, slots: [], isGone: false };
    this.#moved.add(session);
    if (this.#lag !== null) {
      this.#ending.set(this.#nextNumber, session);
      this.#ends.push(last, this.#nextNumber++);
    }
    return session;
  }

  /** Emits what rows show differently: those touched, and all of sessions whose bounds moved. */
  #show(): void {
    const weights = this.#weights();
    const out = new Output(this.#touched.length);
    for (const session of this.#moved) {
      for (const slot of session.slots) {
        if (this.#seen[slot] === 1) continue;
        if (this.#shownFirst[slot] === session.first && this.#shownLast[slot] === session.last) continue;
        out.add(slot, this.#shownFirst[slot], this.#shownLast[slot], -weights[slot]);
        this.#put(out, slot, session, weights[slot]);
      }
    }
    for (const slot of this.#touched) {
      const session = this.#sessions[slot];
      const before = this.#before[slot];
      if (session !== null && before > 0 && this.#shows(slot, session)) {
        out.add(slot, session.first, session.last, weights[slot] - before);
        continue;
      }
      if (before > 0) out.add(slot, this.#shownFirst[slot], this.#shownLast[slot], -before);
      if (session !== null) this.#put(out, slot, session, weights[slot]);
    }
    this.#emitRows(out);
    for (const slot of this.#touched) {
      this.#seen[slot] = 0;
      if (weights[slot] === 0) this.#rows.release(slot);
    }
    this.#touched = [];
    this.#moved.clear();
  }

  #shows(slot: number, { first, last }: Rows): boolean {
    return this.#shownFirst[slot] === first && this.#shownLast[slot] === last;
  }

  #put(out: Output, slot: number, session: Rows, weight: number): void {
    out.add(slot, session.first, session.last, weight);
    this.#shownFirst[slot] = session.first;
    this.#shownLast[slot] = session.last;
  }

  #emitRows({ slots, firsts, lasts, weights, count }: Output): void {
    if (count === 0) return;
    const ends = new Float64Array(count);
    const times = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      ends[i] = lasts[i] + this.#gap;
      times[i] = ends[i] - LAST_MILLISECOND;
    }
    const bound = (values: Float64Array): Column => new PlainColumn(this.#type, count, values, null);
    this.emit({
      length: count,
      columns: [
        ...this.#rows.keys.columns.map((column) => column.gather(slots, count)),
        bound(firsts.slice(0, count)),
        bound(ends),
        bound(times),
      ],
      weights: weights.slice(0, count),
    });
  }

  /** Rows of sessions that no row can reach any more, those at `watermark` or later included, are of no more use. */
  #letGo(watermark: number): void {
    while (this.#ends.next + this.#gap < watermark) {
      const number = this.#ends.pop();
      const session = this.#ending.get(number) as Rows;
      if (!session.isGone && session.last + this.#gap >= watermark) {
        this.#ends.push(session.last, number);
        continue;
      }
      this.#ending.delete(number);
      if (session.isGone) continue;
      for (const slot of session.slots) {
        this.#sessions[slot] = null;
        this.#rows.release(slot);
      }
      session.isGone = true;
      const sessions = this.#partitions[session.partition];
      sessions.splice(sessions.indexOf(session), 1);
      if (sessions.length === 0) this.#keys.release(session.partition);
    }
  }

  #weights(): Float64Array {
    return this.#rows.values[0].values as Float64Array;
  }

  #times(): Float64Array {
    return this.#rows.keys.columns[this.#time].values as Float64Array;
  }

  #grow(): void {
    const { capacity } = this.#rows;
    for (let slot = this.#sessions.length; slot < capacity; slot++) this.#sessions.push(null);
    if (this.#seen.length >= capacity) return;
    this.#seen = grown(this.#seen, capacity);
    this.#before = grown(this.#before, capacity);
    this.#shownFirst = grown(this.#shownFirst, capacity);
    this.#shownLast = grown(this.#shownLast, capacity);
  }

  #newKeys(): KeyTable {
    return new KeyTable(this.#partitionBy.map((column) => this.#rows.keys.columns[column].type));
  }

  #partitionsOf(slots: Int32Array): Int32Array {
    const partitions = new Int32Array(slots.length);
    const keys = this.#partitionBy.map((column) => this.#rows.keys.columns[column].gather(slots, slots.length));
    const made = this.#keys.upsert(keys, slots.length, partitions);
    for (let i = 0; i < made; i++) this.#partitions[this.#keys.fresh[i]] = [];
    return partitions;
  }

  #derived(visit: Visit): void {
    this.#keys.arrays(visit);
    this.#ends.arrays(visit);
    this.#shownFirst = visit(this.#shownFirst);
    this.#shownLast = visit(this.#shownLast);
    this.#seen = visit(this.#seen);
    this.#before = visit(this.#before);
  }

  #rebuild(): void {
    this.#keys = this.#newKeys();
    this.#partitions = [];
    this.#sessions = [];
    this.#ends = new TimeQueue();
    this.#ending.clear();
    this.#grow();
    const times = this.#times();
    const slots = this.#rows.keys.aliveSlots().slice();
    slots.sort((a, b) => times[a] - times[b]);
    const partitions = this.#partitionsOf(slots);
    slots.forEach((slot, i) => {
      this.#insert(partitions[i], slot, times[slot]);
    });
    for (const slot of slots) {
      const session = this.#sessions[slot] as Rows;
      this.#shownFirst[slot] = session.first;
      this.#shownLast[slot] = session.last;
    }
    this.#moved.clear();
  }
}

/** The position of the first session that begins after `time`. */
function startingAfter(sessions: readonly Rows[], time: number): number {
  let low = 0;
  let high = sessions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sessions[middle].first <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Changes to emit: row slots with the bounds of their session. */
class Output {
  slots: Int32Array;
  firsts: Float64Array;
  lasts: Float64Array;
  weights: Int32Array;
  count = 0;

  constructor(size: number) {
    this.slots = new Int32Array(size);
    this.firsts = new Float64Array(size);
    this.lasts = new Float64Array(size);
    this.weights = new Int32Array(size);
  }

  add(slot: number, first: number, last: number, weight: number): void {
    if (weight === 0) return;
    const at = this.count++;
    if (at === this.slots.length) {
      const size = Math.max(64, at * 2);
      this.slots = grown(this.slots, size);
      this.firsts = grown(this.firsts, size);
      this.lasts = grown(this.lasts, size);
      this.weights = grown(this.weights, size);
    }
    this.slots[at] = slot;
    this.firsts[at] = first;
    this.lasts[at] = last;
    this.weights[at] = weight;
  }
}
