import type { ColumnSchema } from '../values/batch.ts';
import type { Column } from '../values/column.ts';
import { ColumnSlot } from './column-slot.ts';
import type { ValueDecoder } from './decoder.ts';

const FIRST_CAPACITY = 256;

/** What the decoders of csv, raw, avro and protobuf share: rows are written into slots, a row that fails leaves no trace. */
export abstract class SlotDecoder implements ValueDecoder {
  rows = 0;
  error = '';
  protected readonly slots: readonly ColumnSlot[];
  protected buffer: Buffer = Buffer.alloc(0);
  #capacity = FIRST_CAPACITY;

  constructor(wanted: readonly ColumnSchema[]) {
    this.slots = wanted.map((column) => new ColumnSlot(column, FIRST_CAPACITY));
  }

  /** Writes every slot at `row` from `this.buffer[start..end)`; null, or why it cannot. */
  protected abstract read(start: number, end: number, row: number): string | null;

  decode(buffer: Buffer, start: number, end: number): boolean {
    if (buffer !== this.buffer) this.#enter(buffer);
    const row = this.rows;
    if (row === this.#capacity) this.#grow();
    const problem = this.read(start, end, row);
    if (problem === null) {
      this.rows = row + 1;
      return true;
    }
    this.error = problem;
    for (const slot of this.slots) slot.nulls[row] = 0;
    return false;
  }

  finish(): Column[] {
    const columns = this.slots.map((slot) => slot.finish(this.rows, this.buffer));
    this.#capacity = Math.max(FIRST_CAPACITY, Math.ceil(this.rows * 1.25));
    for (const slot of this.slots) slot.renew(this.#capacity);
    this.rows = 0;
    return columns;
  }

  /** NULL in a slot; null, or that it may not be. */
  protected setNull(slot: number, row: number): string | null {
    const { schema } = this.slots[slot];
    if (!schema.nullable) return `column "${schema.name}" is NOT NULL but null`;
    this.slots[slot].setNull(row);
    return null;
  }

  #enter(buffer: Buffer): void {
    if (this.rows > 0) for (const slot of this.slots) if (slot.isText) slot.toPlain(this.rows, this.buffer);
    this.buffer = buffer;
  }

  #grow(): void {
    this.#capacity *= 2;
    for (const slot of this.slots) slot.grow(this.#capacity);
  }
}

/** At most 60 characters of the bytes, for messages. */
export function excerpt(buffer: Buffer, start: number, end: number): string {
  if (start === end) return 'an empty text';
  return `${buffer.utf8Slice(start, Math.min(end, start + 60))}${end - start > 60 ? '…' : ''}`;
}
