import { isUtf8 } from 'node:buffer';
import { StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { BYTEA, typeName } from '../../values/types.ts';
import type { ValueDecoder } from '../decoder.ts';
import { excerpt, SlotDecoder } from '../slot-decoder.ts';
import { type ReadText, textReader } from '../text-values.ts';

/** What a raw source has when no columns are declared. */
export const RAW_COLUMNS: readonly ColumnSchema[] = [{ name: 'data', type: BYTEA, nullable: false }];

/**
 * The whole value as one column: its bytes for BYTEA, text for VARCHAR, what the text says for other types. Of a table's columns it is
 * the one outside the primary key. SQL_BIND when there are more.
 */
export function createRawDecoder(
  columns: readonly ColumnSchema[],
  wanted: readonly number[],
  key: readonly number[],
): ValueDecoder {
  const own = columns.map((_, i) => i).filter((i) => !key.includes(i));
  if (own.length !== 1) {
    throw new StreamError('SQL_BIND', `a raw record is one column, and ${own.length} are declared`, {
      hint: 'declare one column, such as data BYTEA or line VARCHAR; in a table one beside the primary key',
    });
  }
  return new RawDecoder(
    wanted.map((position) => columns[position]),
    wanted.map((position) => position === own[0]),
  );
}

class RawDecoder extends SlotDecoder {
  readonly #holdsValue: readonly boolean[];
  readonly #readers: readonly ReadText[];

  constructor(wanted: readonly ColumnSchema[], holdsValue: readonly boolean[]) {
    super(wanted);
    this.#holdsValue = holdsValue;
    this.#readers = wanted.map((column) => textReader(column.type));
  }

  protected read(start: number, end: number, row: number): string | null {
    const b = this.buffer;
    for (let i = 0; i < this.slots.length; i++) {
      const slot = this.slots[i];
      const { name, type } = slot.schema;
      if (!this.#holdsValue[i]) {
        slot.setNull(row);
      } else if (type.kind === 'bytea') {
        slot.set(row, Uint8Array.prototype.slice.call(b, start, end), b);
      } else if (!isUtf8(b.subarray(start, end))) {
        return `the value is not UTF-8: column "${name}" would have to be BYTEA`;
      } else if (slot.isText) {
        slot.setText(row, b, start, end);
      } else {
        const datum = this.#readers[i](b, start, end);
        if (datum === undefined) return `column "${name}" (${typeName(type)}) cannot hold ${excerpt(b, start, end)}`;
        slot.set(row, datum, b);
      }
    }
    return null;
  }
}
