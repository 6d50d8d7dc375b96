import type { Batch } from '../../../src/values/batch.ts';
import { ColumnBuilder } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import { BIGINT, type Datum, type SqlType } from '../../../src/values/types.ts';
import { settledBound, type TimeBound } from '../../plan/event-time.ts';
import type { Match } from '../../plan/plan.ts';
import { Attempts, type MatchOutput } from '../match/attempts.ts';
import type { MatchRows } from '../match/match-path.ts';
import { lookBehind, Matcher, MatchMeasures, usesNumber } from '../match/matcher.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { KeyTable } from '../state/key-table.ts';
import { type RowOrder, totalOrder } from '../state/row-order.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { TouchedRows } from './touched-rows.ts';

/** A partition's rows in order, a row of weight 2 twice, and the searches over them. */
interface Partition {
  slots: number[];
  attempts: Attempts;
  /** No row was dropped before these. */
  isWhole: boolean;
}

/** Rows [low, high) are new or moved, and what stands behind them stands `shift` further than before. */
interface Change {
  readonly low: number;
  readonly high: number;
  readonly shift: number;
}

/** With fewer rows it is not worth while to look for those that are settled. */
const LEAST_SWEPT = 1024;

/**
 * MATCH_RECOGNIZE over rows that come and go. State: the distinct rows with their weights; order, searches and matches are made anew
 * from them. Rows before the first search that may still come out differently are dropped when a watermark says so. Of a partition that changes, only searches that looked at a changed place are made again: for a row that comes last,
 * those that ran into the end; for one in the middle, those from there on until one begins as a search did before.
 */
export class MatchOperator extends OperatorBase {
  readonly #plan: Match;
  readonly #matcher: Matcher;
  readonly #measures: MatchMeasures;
  readonly #order: RowOrder;
  readonly #lookBehind: number;
  readonly #usesNumber: boolean;
  /** Whole rows → weight. */
  readonly #rows: RowTable;
  /** Partition → matches before its rows, and how many of these are there to look back at only; of those that need it. */
  readonly #dropped: RowTable | null;
  readonly #bound: TimeBound | undefined;
  #sweepAt = LEAST_SWEPT;
  /** Derived from the rows. */
  #keys: KeyTable;
  #partitions: Partition[] = [];
  readonly #touched: TouchedRows;
  #partitionSlots = new Int32Array(0);
  /** Rows and variables whose errors were told in this epoch: a search that is made again would tell them twice. */
  readonly #told = new Set<string>();

  constructor(info: OperatorInfo, context: OperatorContext, plan: Match) {
    super(info, context);
    this.#plan = plan;
    const types = plan.input.schema.map((column) => column.type);
    const onError: OperatorContext['onError'] = (code, reason, row) => this.#tell(code, reason, row);
    this.#matcher = new Matcher(plan, types, onError);
    this.#measures = new MatchMeasures(plan, types, onError);
    this.#order = totalOrder(types.length, plan.orderBy);
    this.#lookBehind = lookBehind(plan);
    this.#usesNumber = usesNumber(plan);
    this.#rows = new RowTable(`${this.id}.rows`, types, [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => {
        this.#keys.arrays(visit);
        this.#touched.arrays(visit);
      },
      derivedBytes: () => this.#derivedBytes(),
    });
    this.#rows.holds = wholeRows(0, types.length);
    this.#touched = new TouchedRows(this.id, this.#rows, this.#order);
    this.#keys = this.#newKeys();
    this.#bound = settledBound(plan);
    const needsMore = this.#lookBehind > 0 || this.#usesNumber || this.#matcher.usesStart;
    const keyTypes = plan.partitionBy.map((column) => types[column]);
    this.#dropped =
      this.#bound !== undefined && needsMore ? new RowTable(`${this.id}.dropped`, keyTypes, [BIGINT, BIGINT]) : null;
    if (this.#dropped !== null) this.#dropped.holds = { port: 0, columns: plan.partitionBy };
  }

  override get state(): readonly StateTable[] {
    return this.#dropped === null ? [this.#rows] : [this.#rows, this.#dropped];
  }

  advance(_port: number, micros: number): void {
    if (this.#bound !== undefined) this.#matcher.settledMicros = micros - this.#bound.lagMicros;
  }

  push(_port: number, batch: Batch): void {
    const keys = this.#plan.partitionBy.map((column) => batch.columns[column]);
    this.#touched.take(batch, () => this.#partitionsOf(keys, batch.length));
  }

  override endEpoch(): void {
    if (!this.#touched.isEmpty) this.#settle();
    if (this.#matcher.settledMicros > Number.NEGATIVE_INFINITY && this.#rows.rows >= this.#sweepAt) this.#sweep();
  }

  #settle(): void {
    const gone = new Output(this.#plan);
    const come = new Output(this.#plan);
    for (const [partition, changed] of this.#touched.partitions)
      this.#refresh(this.#partitions[partition], changed, gone, come);
    this.emit(gone.batch(-1));
    this.emit(come.batch(1));
    this.#touched.end((partition) => {
      const { slots, isWhole } = this.#partitions[partition];
      if (slots.length === 0 && isWhole) this.#keys.release(partition);
    });
    this.#told.clear();
  }

  #refresh(partition: Partition, touched: readonly number[], gone: Output, come: Output): void {
    const change = this.#merge(partition, touched);
    if (change === null) return;
    const { attempts } = partition;
    const tail = attempts.cut(change.low);
    const kept = attempts.count;
    const resumed = this.#search(partition, tail, change);
    const old = rowsOf(tail.outputs, 0, resumed);
    const now = rowsOf(attempts.outputs, kept, attempts.count - (tail.count - resumed));
    this.#difference(old, now, gone, come);
  }

  /** Puts what changed in its place; null when nothing did after all. */
  #merge(partition: Partition, touched: readonly number[]): Change | null {
    const weights = this.#touched.weights;
    const { columns } = this.#rows.keys;
    const changed = this.#touched.changed(touched);
    if (changed.length === 0) return null;
    const { slots } = partition;
    const before = slots.length;
    const low = this.#touched.lowerBound(slots, changed[0]);
    const tail = slots.splice(low);
    let from = 0;
    for (const slot of changed) {
      while (from < tail.length && this.#order(columns, tail[from], columns, slot) < 0) slots.push(tail[from++]);
      for (let copy = 0; copy < weights[slot]; copy++) slots.push(slot);
      from += this.#touched.before(slot);
    }
    const high = slots.length;
    for (; from < tail.length; from++) slots.push(tail[from]);
    return { low, high, shift: slots.length - before };
  }

  /** Searches from `attempts.next` on; answers from which search of `tail` on all is as before, which then stands in `attempts` too. */
  #search(partition: Partition, tail: Attempts, { high, shift }: Change): number {
    const { attempts, slots } = partition;
    const rows: MatchRows = { columns: this.#rows.keys.columns, slots };
    const matcher = this.#matcher;
    matcher.begin(rows, attempts.next, partition.isWhole);
    let old = 0;
    while (attempts.next < slots.length) {
      const start = attempts.next;
      // What a search from here on sees is as it was, but for its place.
      if (start >= high + this.#lookBehind) {
        while (old < tail.count && tail.starts[old] + shift < start) old++;
        const isFirst = matcher.usesStart && (start === 0 || tail.starts[old] === 0);
        const isSame = old < tail.count && tail.starts[old] + shift === start && !isFirst;
        const isAsPatient = tail.givenUpBefore(old) === attempts.givenUpBefore(attempts.count);
        if (isSame && isAsPatient && (!this.#usesNumber || tail.matchesBefore(old) === attempts.matches)) {
          attempts.resume(tail, old, shift);
          return old;
        }
      }
      const number = attempts.matches + 1;
      const givenUp = attempts.givenUpBefore(attempts.count);
      if (!matcher.find(start, number, givenUp)) {
        attempts.push(
          start,
          matcher.reach,
          number - 1,
          this.#unmatched(rows, start),
          givenUp + (matcher.gaveUp ? 1 : 0),
        );
        attempts.next = start + 1;
        continue;
      }
      this.#measures.load(rows, start, number, matcher);
      const output = this.#output(rows, start, matcher);
      attempts.push(start, Math.max(matcher.reach, this.#measures.reach), number, output);
      attempts.next = this.#after(start, rows);
    }
    return tail.count;
  }

  #output(rows: MatchRows, start: number, matcher: Matcher): MatchOutput {
    const { partitionBy, rows: shown } = this.#plan;
    const { length } = matcher;
    if (shown === 'one') {
      const key = partitionBy.map((column) => rows.columns[column].get(rows.slots[start]));
      return [[...key, ...this.#measures.values(length - 1, length)]];
    }
    if (length === 0) return shown === 'allButEmpty' ? [] : [this.#whole(rows, start, this.#measures.values(-1, 0))];
    const out: Datum[][] = [];
    for (let depth = 0; depth < length; depth++) {
      if (!matcher.isExcluded(depth)) out.push(this.#whole(rows, start + depth, this.#measures.values(depth, length)));
    }
    return out;
  }

  /** The row without measures where WITH UNMATCHED ROWS says so. Searches begin behind the last match, so no other has it. */
  #unmatched(rows: MatchRows, start: number): MatchOutput | null {
    const { rows: shown, measures } = this.#plan;
    return shown === 'unmatched' ? [this.#whole(rows, start, new Array<null>(measures.length).fill(null))] : null;
  }

  /** Partition and order columns, measures, the other columns. */
  #whole({ columns, slots }: MatchRows, position: number, measures: readonly Datum[]): Datum[] {
    const { partitionBy, orderBy, rest } = this.#plan;
    const datum = (column: number): Datum => columns[column].get(slots[position]);
    const order = orderBy.map((key) => key.column).filter((column) => !partitionBy.includes(column));
    return [...partitionBy.map(datum), ...order.map(datum), ...measures, ...rest.map(datum)];
  }

  /** Where AFTER MATCH SKIP goes on. */
  #after(start: number, rows: MatchRows): number {
    const { skip } = this.#plan;
    const { length } = this.#matcher;
    if (length === 0) return start + 1;
    if (!('variables' in skip)) return skip.to === 'nextRow' ? start + 1 : start + length;
    let found = -1;
    for (let depth = 0; depth < length; depth++) {
      if (!skip.variables.includes(this.#matcher.variableAt(depth))) continue;
      found = depth;
      if (skip.to === 'first') break;
    }
    if (found > 0) return start + found;
    const names = skip.variables.map((variable) => this.#plan.variables[variable]).join(', ');
    const reason =
      found < 0
        ? `AFTER MATCH SKIP: the match has no row of ${names}; the search goes on behind its last row`
        : `AFTER MATCH SKIP to ${names} would find the same match again; the search goes on behind its last row`;
    const { columns, slots } = rows;
    this.#tell(
      'VALUE_DOMAIN',
      reason,
      columns.map((column) => column.get(slots[start])),
    );
    return start + length;
  }

  /**
   * Drops the rows before the first search of each partition that a row yet to come may change. Done when the rows have doubled, so
   * that it costs as much as the rows that came.
   */
  #sweep(): void {
    for (const slot of this.#keys.aliveSlots()) this.#sweepPartition(slot);
    this.#told.clear();
    this.#sweepAt = Math.max(LEAST_SWEPT, 2 * this.#rows.rows);
  }

  #sweepPartition(at: number): void {
    const partition = this.#partitions[at];
    const { slots, attempts } = partition;
    const settled = this.#settledRows(slots);
    // With WITHIN, searches that ran into the end may be over by now.
    if (this.#plan.withinMicros !== null && settled > 0) {
      this.#search(partition, attempts.cut(settled), { low: settled, high: Number.POSITIVE_INFINITY, shift: 0 });
    }
    const first = attempts.firstBeyond(settled);
    const start = first < attempts.count ? attempts.starts[first] : attempts.next;
    const drop = Math.min(settled, start - this.#lookBehind);
    if (drop <= 0) return;
    attempts.forget(first, drop);
    const weights = this.#touched.weights;
    for (const slot of slots.splice(0, drop)) {
      weights[slot]--;
      if (weights[slot] === 0) this.#rows.release(slot);
      else this.#rows.touch(slot);
    }
    if (this.#dropped !== null) {
      partition.isWhole = false;
      this.#keep(at, attempts.matchesBefore(0), start - drop);
    } else if (slots.length === 0) this.#keys.release(at);
  }

  /** How many rows have times that the watermark has passed. */
  #settledRows(slots: readonly number[]): number {
    const time = this.#rows.keys.columns[this.#plan.orderBy[0].column];
    let low = 0;
    let high = slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = time.get(slots[middle]);
      if (at !== null && Number(at) < this.#matcher.settledMicros) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #keep(partition: number, matches: number, skip: number): void {
    const dropped = this.#dropped as RowTable;
    const key = this.#keys.columns.map((column) => column.gather(Int32Array.of(partition), 1));
    const slots = new Int32Array(1);
    dropped.upsert(key, 1, slots);
    dropped.values[0].set(slots[0], matches);
    dropped.values[1].set(slots[0], skip);
    dropped.touch(slots[0]);
  }

  /** What a checkpoint says of partitions whose first rows were dropped. */
  #restoreDropped(dropped: RowTable): void {
    const slots = dropped.aliveSlots();
    const keys = dropped.keys.columns.map((column) => column.gather(slots, slots.length));
    const partitions = this.#partitionsOf(keys, slots.length);
    for (let i = 0; i < slots.length; i++) {
      const [matches, skip] = dropped.values.map((column) => Number(column.get(slots[i])));
      this.#partitions[partitions[i]] = { slots: [], attempts: new Attempts(skip, matches), isWhole: false };
    }
  }

  #tell(...[code, reason, row]: Parameters<OperatorContext['onError']>): void {
    const key = `${code} ${reason} ${row.map(String).join('\u0000')}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.context.onError(code, reason, row);
  }

  /** What is equal at the beginning and the end of both stays. */
  #difference(old: MatchOutput, now: MatchOutput, gone: Output, come: Output): void {
    const types = this.#plan.schema.map((column) => column.type);
    const same = (a: readonly Datum[], b: readonly Datum[]): boolean =>
      a.every((datum, i) => equalDatums(datum, b[i], types[i]));
    let from = 0;
    const least = Math.min(old.length, now.length);
    while (from < least && same(old[from], now[from])) from++;
    let end = 0;
    while (end < least - from && same(old[old.length - 1 - end], now[now.length - 1 - end])) end++;
    for (let i = from; i < old.length - end; i++) gone.add(old[i]);
    for (let i = from; i < now.length - end; i++) come.add(now[i]);
  }

  #newKeys(): KeyTable {
    return new KeyTable(this.#plan.partitionBy.map((column) => this.#rows.keys.columns[column].type));
  }

  /** The partition of each row; new ones are made. */
  #partitionsOf(keys: Parameters<KeyTable['upsert']>[0], length: number): Int32Array {
    if (this.#partitionSlots.length < length) this.#partitionSlots = new Int32Array(length);
    const made = this.#keys.upsert(keys, length, this.#partitionSlots);
    for (let i = 0; i < made; i++)
      this.#partitions[this.#keys.fresh[i]] = { slots: [], attempts: new Attempts(), isWhole: true };
    return this.#partitionSlots;
  }

  #derivedBytes(): number {
    let bytes = 0;
    for (const partition of this.#partitions) {
      if (partition !== undefined) bytes += partition.slots.length * 8 + partition.attempts.bytes;
    }
    return bytes;
  }

  #rebuild(): void {
    const slots = this.#rows.keys.aliveSlots();
    const count = slots.length;
    const { columns } = this.#rows.keys;
    this.#keys = this.#newKeys();
    this.#partitions = [];
    if (this.#dropped !== null) this.#restoreDropped(this.#dropped);
    const keys = this.#plan.partitionBy.map((column) => columns[column].gather(slots, count));
    const partitions = this.#partitionsOf(keys, count);
    const weights = this.#touched.weights;
    for (let i = 0; i < count; i++) {
      for (let copy = 0; copy < weights[slots[i]]; copy++) this.#partitions[partitions[i]].slots.push(slots[i]);
    }
    for (const partition of this.#partitions) {
      if (partition === undefined) continue;
      partition.slots.sort((a, b) => this.#order(columns, a, columns, b));
      this.#search(partition, new Attempts(), { low: 0, high: 0, shift: 0 });
    }
    this.#told.clear();
    this.#touched.reset();
  }
}

function rowsOf(outputs: readonly (MatchOutput | null)[], from: number, to: number): MatchOutput {
  const rows: (readonly Datum[])[] = [];
  for (let i = from; i < to; i++) rows.push(...(outputs[i] ?? []));
  return rows;
}

/** Rows to show or take back. */
class Output {
  readonly #columns: ColumnBuilder[];
  #length = 0;

  constructor({ schema }: Match) {
    this.#columns = schema.map((column): ColumnBuilder => new ColumnBuilder(column.type as SqlType));
  }

  add(row: readonly Datum[]): void {
    this.#length++;
    for (let c = 0; c < this.#columns.length; c++) this.#columns[c].push(row[c]);
  }

  batch(weight: 1 | -1): Batch {
    const length = this.#length;
    const weights = weight === 1 ? null : new Int32Array(length).fill(-1);
    return { length, columns: this.#columns.map((column) => column.finish()), weights };
  }
}
