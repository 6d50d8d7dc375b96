/**
 * Bytes of JSON records to columns. A record is one JSON object (RFC 8259, checked to its last byte); a column takes the
 * member of its name, exactly as written, the last one when it occurs twice; a missing member is NULL. What a value
 * means in each type is json-values.ts. Records of a shape that was seen before go through a generated scanner
 * (shape-scanner.ts), all others through the general way here; the answers are the same.
 */
import type { ColumnSchema } from '../../values/batch.ts';
import type { Column } from '../../values/column.ts';
import { type Datum, typeName } from '../../values/types.ts';
import { ColumnSlot } from '../column-slot.ts';
import type { ValueDecoder } from '../decoder.ts';
import { TimestampReader } from './byte-times.ts';
import { JsonMembers } from './json-syntax.ts';
import { type ReadValue, valueReader } from './json-values.ts';
import { compileShape, type Shape, type ShapeScanner } from './shape-scanner.ts';

/** Scanners kept per decoder; a topic whose records have more shapes than that is read the general way. */
const MOST_SHAPES = 16;
/** Scanners tried per record, those that fitted last first. */
const MOST_TRIED = 4;
/** Members, and bytes that are not values, of a shape that is worth a scanner. */
const MOST_SHAPE_MEMBERS = 200;
const MOST_SHAPE_BYTES = 8192;
const MOST_SHAPES_SEEN = 64;
const FIRST_CAPACITY = 256;

export interface JsonDecoderOptions {
  readonly useShapes?: boolean;
  /** In the order of `wanted`: how values are read that are no numbers where the column has numbers, and no ISO text where it has timestamps. */
  readonly readers?: readonly ReadValue[];
}

/** `wanted` are positions in `columns`. SQL_UNSUPPORTED for a column type that JSON has no form of. */
export function createJsonDecoder(
  columns: readonly ColumnSchema[],
  wanted: readonly number[],
  options: JsonDecoderOptions = {},
): ValueDecoder {
  return new Decoder(
    wanted.map((position) => columns[position]),
    options,
  );
}

class Decoder implements ValueDecoder {
  rows = 0;
  error = '';
  #buffer: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #capacity = FIRST_CAPACITY;
  readonly #slots: readonly ColumnSlot[];
  readonly #readers: readonly ReadValue[];
  readonly #names: readonly Buffer[];
  readonly #members = new JsonMembers();
  /** For each slot the member of the current record that it takes, −1 when there is none. */
  readonly #chosen: Int32Array;
  readonly #times = new TimestampReader();
  #scanners: ShapeScanner[] = [];
  #shapesLeft: number;
  /** Shapes that the general way met once; one that comes again is compiled. */
  readonly #shapesSeen = new Set<string>();
  readonly #shapesCompiled = new Set<string>();

  constructor(wanted: readonly ColumnSchema[], { useShapes = true, readers }: JsonDecoderOptions) {
    this.#slots = wanted.map((column) => new ColumnSlot(column, FIRST_CAPACITY));
    this.#readers = readers ?? wanted.map((column) => valueReader(column.type));
    this.#names = wanted.map((column) => Buffer.from(column.name));
    this.#chosen = new Int32Array(wanted.length);
    this.#shapesLeft = useShapes ? MOST_SHAPES : 0;
  }

  decode(buffer: Buffer, start: number, end: number): boolean {
    if (buffer !== this.#buffer) this.#enter(buffer);
    const row = this.rows;
    if (row === this.#capacity) this.#grow();
    const scanners = this.#scanners;
    const slots = this.#slots;
    const tried = Math.min(scanners.length, MOST_TRIED);
    for (let i = 0; i < tried; i++) {
      const scan = scanners[i];
      if (scan(buffer, this.#view, start, end, row, slots)) {
        if (i > 0) {
          scanners.copyWithin(1, 0, i);
          scanners[0] = scan;
        }
        this.rows = row + 1;
        return true;
      }
      this.#clearNulls(row);
    }
    if (!this.#decodeAny(start, end)) {
      this.#clearNulls(row);
      return false;
    }
    this.rows = row + 1;
    return true;
  }

  finish(): Column[] {
    const columns = this.#slots.map((slot) => slot.finish(this.rows, this.#buffer));
    // Batches tend to be alike in size; twice the last one bounds what a small batch after a large one holds on to.
    this.#capacity = Math.max(FIRST_CAPACITY, Math.ceil(this.rows * 1.25));
    for (const slot of this.#slots) slot.renew(this.#capacity);
    this.rows = 0;
    return columns;
  }

  #enter(buffer: Buffer): void {
    if (this.rows > 0) for (const slot of this.#slots) if (slot.isText) slot.toPlain(this.rows, this.#buffer);
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  #grow(): void {
    this.#capacity *= 2;
    for (const slot of this.#slots) slot.grow(this.#capacity);
  }

  #clearNulls(row: number): void {
    for (const slot of this.#slots) slot.nulls[row] = 0;
  }

  #decodeAny(start: number, end: number): boolean {
    const members = this.#members;
    const buffer = this.#buffer;
    if (!members.read(buffer, this.#view, start, end)) {
      this.error = members.problem;
      return false;
    }
    const plainKeys = this.#choose();
    const slots = this.#slots;
    for (let i = 0; i < slots.length; i++) {
      const member = this.#chosen[i];
      const { schema } = slots[i];
      const from = member < 0 ? 0 : members.valueStarts[member];
      if (member < 0 || buffer[from] === 110) {
        if (!schema.nullable) {
          this.error = `column "${schema.name}" is NOT NULL but ${member < 0 ? 'missing' : 'null'}`;
          return false;
        }
        slots[i].setNull(this.rows);
        continue;
      }
      const to = members.valueEnds[member];
      if (slots[i].isText && buffer[from] === 34 && !hasEscape(buffer, from, to)) {
        slots[i].setText(this.rows, buffer, from + 1, to - 1);
        continue;
      }
      const datum = this.#read(i, from, to);
      if (datum === undefined) {
        const text = buffer.utf8Slice(from, Math.min(to, from + 60));
        this.error = `column "${schema.name}" (${typeName(schema.type)}) cannot hold ${text}${to - from > 60 ? '…' : ''}`;
        return false;
      }
      slots[i].set(this.rows, datum, buffer);
    }
    if (plainKeys && this.#shapesLeft > 0) this.#learn(start, end);
    return true;
  }

  #read(slot: number, from: number, to: number): Datum | undefined {
    const { kind } = this.#slots[slot].schema.type;
    if ((kind === 'timestamp' || kind === 'timestamptz') && this.#buffer[from] === 34) {
      if (this.#times.read(this.#buffer, this.#view, from + 1, to - 1)) return this.#times.micros[0];
    }
    return this.#readers[slot](this.#buffer, from, to);
  }

  /** Finds each slot's member, the last of its name. False when some key has escapes or occurs twice. */
  #choose(): boolean {
    const { count, keyStarts, keyEnds } = this.#members;
    const buffer = this.#buffer;
    const chosen = this.#chosen.fill(-1);
    let plain = true;
    for (let m = 0; m < count; m++) {
      let from = keyStarts[m];
      let to = keyEnds[m];
      let key = buffer;
      if (hasEscape(buffer, from, to)) {
        plain = false;
        key = Buffer.from(JSON.parse(buffer.utf8Slice(from - 1, to + 1)) as string);
        from = 0;
        to = key.length;
      }
      for (let i = 0; i < this.#names.length; i++) {
        const name = this.#names[i];
        if (name.length !== to - from || !sameBytes(name, key, from)) continue;
        if (chosen[i] >= 0) plain = false;
        chosen[i] = m;
      }
    }
    return plain;
  }

  /** Compiles a scanner for records like the one just read when one like it came before. */
  #learn(start: number, end: number): void {
    const { count, valueStarts, valueEnds } = this.#members;
    if (count === 0 || count > MOST_SHAPE_MEMBERS) return;
    const buffer = this.#buffer;
    let valueBytes = 0;
    for (let m = 0; m < count; m++) valueBytes += valueEnds[m] - valueStarts[m];
    if (end - start - valueBytes > MOST_SHAPE_BYTES) return;
    const pieces: Buffer[] = [];
    let from = start;
    for (let m = 0; m < count; m++) {
      pieces.push(buffer.subarray(from, valueStarts[m]));
      from = valueEnds[m];
    }
    pieces.push(buffer.subarray(from, end));
    const id = pieces.map((piece) => piece.latin1Slice(0, piece.length)).join('\0');
    // Compiled, and still here: some value of it is one that scanners leave to the general way.
    if (this.#shapesCompiled.has(id)) return;
    if (!this.#shapesSeen.has(id)) {
      if (this.#shapesSeen.size >= MOST_SHAPES_SEEN) this.#shapesSeen.clear();
      this.#shapesSeen.add(id);
      return;
    }
    const slots = new Array<number>(count).fill(-1);
    for (let slot = 0; slot < this.#chosen.length; slot++) {
      const member = this.#chosen[slot];
      if (member < 0) continue;
      if (slots[member] >= 0) return;
      slots[member] = slot;
    }
    this.#shapesCompiled.add(id);
    this.#shapesLeft--;
    const shape: Shape = { pieces: pieces.map((piece) => Buffer.from(piece)), slots };
    this.#scanners.unshift(compileShape(shape, this.#slots, this.#readers, this.#times));
  }
}

function hasEscape(b: Buffer, start: number, end: number): boolean {
  for (let p = start; p < end; p++) if (b[p] === 92) return true;
  return false;
}

function sameBytes(name: Buffer, b: Buffer, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] !== b[start + i]) return false;
  return true;
}
