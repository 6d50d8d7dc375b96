import { type Batch, batchOfRows, rowAt } from '../../../src/values/batch.ts';
import { DEAD_LETTER_COLUMNS } from '../../../src/values/hidden-columns.ts';
import { BIGINT, canonicalInteger, type Datum } from '../../../src/values/types.ts';
import { ABSENT } from '../state/key-table.ts';
import { RowTable } from '../state/row-table.ts';

/** Rows of one dead-letter relation that are kept; older ones go. The count knows all. */
export const DEAD_LETTERS_KEPT = 10_000;
/** The same bound in UTF-16 units of their values, for records that are all large. */
const DEAD_LETTER_TEXT_KEPT = 16 << 20;
/** A letter quotes this much of a record's value. */
export const DEAD_LETTER_VALUE_BYTES = 8192;

export interface DeadLetter {
  readonly code: string;
  readonly reason: string;
  /** '' and −1 when the row is no record of a topic: a view's. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly value: string | null;
  /** What could not use it. */
  readonly operator: string;
}

/** Where a letter's record is. */
export interface LetterPlace {
  readonly number: number;
  readonly operator: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

const TYPES = DEAD_LETTER_COLUMNS.map((column) => column.type);

/**
 * What a source or a query could not use, kept as rows that can be queried (DESIGN 2.5). Rows are numbered from 0; the newest
 * DEAD_LETTERS_KEPT stay. Between `takeChanges` calls changes gather: new rows come, trimmed rows go.
 */
export class DeadLetters {
  readonly table: RowTable;
  /** All that ever came. */
  total = 0;
  /** The number of the oldest row kept. */
  #oldest = 0;
  #text = 0;
  #added: Datum[][] = [];
  #removed: Datum[][] = [];
  /** Operator and place of the rows kept, so that a record read twice (by a view that starts later) is told once. */
  readonly #known = new Set<string>();

  constructor(tableId: string) {
    this.table = new RowTable(tableId, [BIGINT], TYPES);
  }

  get rows(): number {
    return this.table.rows;
  }

  /** Whether the record is new here. */
  add(letter: DeadLetter): boolean {
    if (letter.offset >= 0) {
      const place = placeOf(letter);
      if (this.#known.has(place)) return false;
      this.#known.add(place);
    }
    const row: Datum[] = [
      letter.code,
      letter.reason,
      letter.topic,
      letter.partition,
      letter.offset,
      microsOf(letter.timestampMs),
      letter.value,
      letter.operator,
    ];
    const slots = new Int32Array(1);
    this.table.upsert(batchOfRows([BIGINT], [[this.total]]).columns, 1, slots);
    row.forEach((datum, c) => {
      this.table.values[c].set(slots[0], datum);
    });
    this.table.touch(slots[0]);
    this.total++;
    this.#text += letter.reason.length + (letter.value?.length ?? 0);
    this.#added.push(row);
    while (this.rows > DEAD_LETTERS_KEPT || (this.#text > DEAD_LETTER_TEXT_KEPT && this.rows > 1)) this.#trim();
    return true;
  }

  /** Letters that other shards had kept, those of the partitions that are chosen. Before anything else comes. */
  takeOver(shards: readonly (readonly Uint8Array[])[], isOurs: (partition: number) => boolean): void {
    for (const pieces of shards) {
      const other = new DeadLetters(this.table.id);
      for (const piece of pieces) other.table.load(piece);
      other.loaded();
      for (const letter of other.kept()) if (isOurs(letter.partition)) this.add(letter);
    }
    this.takeChanges();
  }

  *kept(): Generator<DeadLetter> {
    const rows = this.scan();
    for (let i = 0; i < rows.length; i++) {
      const [code, reason, topic, partition, offset, micros, value, operator] = rowAt(rows, i);
      yield {
        code: code as string,
        reason: reason as string,
        topic: topic as string,
        partition: partition as number,
        offset: Number(offset),
        timestampMs: Number(BigInt(micros as number | bigint) / 1000n),
        value: value as string | null,
        operator: operator as string,
      };
    }
  }

  /** What changed since the last call; null when nothing did. */
  takeChanges(): Batch | null {
    if (this.#added.length === 0 && this.#removed.length === 0) return null;
    const rows = [...this.#added, ...this.#removed];
    const weights = rows.map((_, i) => (i < this.#added.length ? 1 : -1));
    this.#added = [];
    this.#removed = [];
    return batchOfRows(TYPES, rows, weights);
  }

  /** The newest `limit` rows kept, in all columns. */
  scan(limit = Number.POSITIVE_INFINITY): Batch {
    const rows: Datum[][] = [];
    for (let n = Math.max(this.#oldest, this.total - limit); n < this.total; n++) {
      const row = this.#row(n);
      if (row !== null) rows.push(row);
    }
    return batchOfRows(TYPES, rows);
  }

  /** Of the letters kept, those of records of a topic. */
  places(): LetterPlace[] {
    const places: LetterPlace[] = [];
    for (let n = this.#oldest; n < this.total; n++) {
      const row = this.#row(n);
      if (row !== null && Number(row[4]) >= 0) places.push(placeIn(row, n));
    }
    return places;
  }

  /** Takes a letter out, if it is still there. */
  remove(number: number): boolean {
    const row = this.#row(number);
    if (row === null) return false;
    this.table.release(this.table.lookupOne([number]));
    this.#text -= textOf(row);
    this.#known.delete(placeOf(placeIn(row, number)));
    this.#removed.push(row);
    return true;
  }

  /** To be called once all pieces of `table` were loaded. */
  loaded(): void {
    const slots = this.table.aliveSlots();
    this.total = 0;
    this.#oldest = slots.length === 0 ? 0 : Number.POSITIVE_INFINITY;
    for (const slot of slots) {
      const number = this.table.keys.columns[0].get(slot) as number;
      if (number >= this.total) this.total = number + 1;
      if (number < this.#oldest) this.#oldest = number;
      const row = this.table.values.map((column) => column.get(slot));
      this.#text += textOf(row);
      const place = placeIn(row, number);
      if (place.offset >= 0) this.#known.add(placeOf(place));
    }
  }

  #trim(): void {
    this.remove(this.#oldest++);
  }

  #row(number: number): Datum[] | null {
    const slot = this.table.lookupOne([number]);
    return slot === ABSENT ? null : this.table.values.map((column) => column.get(slot));
  }
}

const textOf = (row: readonly Datum[]): number => (row[1] as string).length + ((row[6] as string | null)?.length ?? 0);

const placeOf = ({ operator, partition, offset }: Omit<LetterPlace, 'number' | 'topic'>): string =>
  `${operator}:${partition}:${offset}`;

const placeIn = (row: readonly Datum[], number: number): LetterPlace => ({
  number,
  topic: row[2] as string,
  partition: row[3] as number,
  offset: Number(row[4]),
  operator: row[7] as string,
});

/** Of letters of one object those are logged: the first ones, and a hint of how many there are. */
export const isPowerOfTwo = (n: number): boolean => n > 0 && Number.isInteger(Math.log2(n));

export function microsOf(timestampMs: number): number | bigint {
  const micros = timestampMs * 1000;
  return Number.isSafeInteger(micros) ? micros : canonicalInteger(BigInt(timestampMs) * 1000n);
}
