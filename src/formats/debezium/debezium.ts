/**
 * Debezium's change events in JSON, with or without the schema that Connect's JsonConverter adds: which row a record puts or deletes, and the
 * rows inside. Facts: Debezium 3 documentation, "change events" and "data types" of its connectors.
 */
import { StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import type { Column } from '../../values/column.ts';
import type { ValueDecoder } from '../decoder.ts';
import { createJsonDecoder } from '../json/json-decoder.ts';
import { JsonMembers } from '../json/json-syntax.ts';
import { type ReadValue, valueReader } from '../json/json-values.ts';
import { type FieldSchema, semanticReader, type TimeUnit } from './semantic-types.ts';

/** Stands for a value that the database did not send: an unchanged TOAST column of Postgres. */
const UNAVAILABLE = Buffer.from('"__debezium_unavailable_value"');

/** A JSON object within a buffer; `start` is −1 when there is none. */
export interface Span {
  start: number;
  end: number;
}

export class DebeziumEvents {
  /** put: `after` is the row now. delete: the row of the key, or of `before`, is gone. none: nothing about rows. */
  change: 'put' | 'delete' | 'none' = 'none';
  readonly before: Span = { start: -1, end: -1 };
  readonly after: Span = { start: -1, end: -1 };
  /** Connect's schema of the event or key. */
  readonly schema: Span = { start: -1, end: -1 };
  readonly key: Span = { start: -1, end: -1 };
  error = '';
  readonly #outer = new JsonMembers();
  readonly #inner = new JsonMembers();

  /** Reads a record's value into the fields above. False: it is no event that can be applied, and `error` says why. */
  read(buffer: Buffer, start: number, end: number): boolean {
    const members = this.#payload(buffer, start, end);
    if (members === false) return false;
    this.before.start = -1;
    this.after.start = -1;
    if (members === null) {
      this.change = 'delete';
      return true;
    }
    const op = memberOf(members, buffer, 'op');
    if (op < 0) return this.#fail('it has no "op": it is no event of Debezium');
    spanOf(members, buffer, 'before', this.before);
    spanOf(members, buffer, 'after', this.after);
    const code = buffer.latin1Slice(members.valueStarts[op], members.valueEnds[op]);
    switch (code) {
      case '"c"':
      case '"r"':
      case '"u"':
        if (this.after.start < 0) return this.#fail(`op ${code} has no "after"`);
        if (buffer.subarray(this.after.start, this.after.end).includes(UNAVAILABLE)) {
          return this.#fail('a value was not sent by the database: set REPLICA IDENTITY FULL on the table');
        }
        this.change = 'put';
        return true;
      case '"d"':
        this.change = 'delete';
        return true;
      case '"m"':
        this.change = 'none';
        return true;
      case '"t"':
        return this.#fail('op "t": TRUNCATE is not applied; delete the rows, or create the source again');
      default:
        return this.#fail(`op ${code.slice(0, 20)} is unknown`);
    }
  }

  /** Reads a record's key, an object, into `key`. */
  readKey(buffer: Buffer, start: number, end: number): boolean {
    const members = this.#payload(buffer, start, end);
    if (members === false) return false;
    if (members === null) return this.#fail('the key is null');
    if (members === this.#outer) {
      this.key.start = start;
      this.key.end = end;
    }
    return true;
  }

  /** The members of the event, out of `{"schema":…,"payload":…}` where it is in one; null when that payload is null. */
  #payload(buffer: Buffer, start: number, end: number): JsonMembers | null | false {
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    this.schema.start = -1;
    if (!this.#outer.read(buffer, view, start, end)) return this.#fail(this.#outer.problem);
    const payload = memberOf(this.#outer, buffer, 'payload');
    if (payload < 0 || memberOf(this.#outer, buffer, 'schema') < 0) return this.#outer;
    spanOf(this.#outer, buffer, 'schema', this.schema);
    const from = this.#outer.valueStarts[payload];
    const to = this.#outer.valueEnds[payload];
    if (buffer[from] === 110) return null;
    if (!this.#inner.read(buffer, view, from, to)) return this.#fail(`"payload": ${this.#inner.problem}`);
    this.key.start = from;
    this.key.end = to;
    return this.#inner;
  }

  #fail(error: string): false {
    this.error = error;
    return false;
  }
}

function memberOf(members: JsonMembers, b: Buffer, name: string): number {
  for (let m = members.count - 1; m >= 0; m--) {
    const from = members.keyStarts[m];
    if (members.keyEnds[m] - from !== name.length) continue;
    let i = 0;
    while (i < name.length && b[from + i] === name.charCodeAt(i)) i++;
    if (i === name.length) return m;
  }
  return -1;
}

function spanOf(members: JsonMembers, b: Buffer, name: string, span: Span): void {
  const m = memberOf(members, b, name);
  const isObject = m >= 0 && b[members.valueStarts[m]] === 123;
  span.start = isObject ? members.valueStarts[m] : -1;
  span.end = isObject ? members.valueEnds[m] : -1;
}

/** Rows inside events, or keys. Numbers and texts mean what the schema beside them says. */
export class DebeziumRows implements ValueDecoder {
  readonly #rows: ValueDecoder;
  readonly #columns: readonly ColumnSchema[];
  readonly #unit: TimeUnit;
  /** By column; what `#rows` calls. */
  readonly #readers: ReadValue[];
  /** The bytes that #readers were made from. */
  #schema: Buffer = Buffer.alloc(0);

  constructor(columns: readonly ColumnSchema[], unit: TimeUnit) {
    this.#columns = columns;
    this.#unit = unit;
    this.#readers = columns.map((column) => valueReader(column.type));
    this.#use(new Map());
    const wanted = columns.map((_, i) => i);
    const readers = wanted.map(
      (i): ReadValue =>
        (b, start, end) =>
          this.#readers[i](b, start, end),
    );
    this.#rows = createJsonDecoder(columns, wanted, { readers });
  }

  get rows(): number {
    return this.#rows.rows;
  }

  get error(): string {
    return this.#rows.error;
  }

  decode(buffer: Buffer, start: number, end: number): boolean {
    return this.#rows.decode(buffer, start, end);
  }

  finish(): Column[] {
    return this.#rows.finish();
  }

  /** The schema of what is decoded next; one like the last costs a comparison of bytes. */
  useSchema(buffer: Buffer, span: Span): void {
    const length = span.start < 0 ? 0 : span.end - span.start;
    if (length === this.#schema.length) {
      if (length === 0 || this.#schema.compare(buffer, span.start, span.end) === 0) return;
    }
    this.#schema = length === 0 ? Buffer.alloc(0) : Buffer.from(buffer.subarray(span.start, span.end));
    this.#use(length === 0 ? new Map() : fieldSchemas(JSON.parse(this.#schema.toString('utf8'))));
  }

  #use(schemas: ReadonlyMap<string, FieldSchema>): void {
    this.#columns.forEach(({ name, type }, i) => {
      this.#readers[i] = semanticReader(type, schemas.get(name) ?? null, this.#unit) ?? valueReader(type);
    });
  }
}

type Json = Readonly<Record<string, unknown>>;

/** The named schemas of a row's fields: of `after` in an event's schema, of all in a key's. Anything odd in it is passed over. */
function fieldSchemas(schema: Json): ReadonlyMap<string, FieldSchema> {
  const fieldsOf = (one: Json | undefined): Json[] => (Array.isArray(one?.['fields']) ? (one['fields'] as Json[]) : []);
  const outer = fieldsOf(schema);
  const after = outer.find((field) => field?.['field'] === 'after' && field['type'] === 'struct');
  const found = new Map<string, FieldSchema>();
  for (const field of after === undefined ? outer : fieldsOf(after)) {
    const name = field?.['name'];
    if (typeof name !== 'string') continue;
    const scale = Number((field['parameters'] as Json | undefined)?.['scale'] ?? 0);
    found.set(String(field['field']), { name, scale: Number.isSafeInteger(scale) ? scale : 0 });
  }
  return found;
}

export const TIME_UNITS: readonly TimeUnit[] = ['ms', 'us', 'ns'];

/** SQL_BIND without a primary key: events change rows. */
export function createDebeziumDecoder(
  columns: readonly ColumnSchema[],
  key: readonly number[],
  unit: string | undefined,
): DebeziumRows {
  if (key.length === 0) {
    throw new StreamError('SQL_BIND', 'a debezium source needs a PRIMARY KEY: its events change rows', {
      hint: 'declare the key of the database table',
    });
  }
  return new DebeziumRows(columns, (unit ?? 'ms') as TimeUnit);
}
