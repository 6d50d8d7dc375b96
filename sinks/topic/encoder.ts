import { AvroRowEncoder, avroSchemaText } from '../../src/formats/avro/avro-encoder.ts';
import { encodeJsonRow } from '../../src/formats/json/json-encoder.ts';
import { StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { datumToText } from '../../src/values/text.ts';
import type { Datum } from '../../src/values/types.ts';

/** A row of the sink's columns as the bytes of a record's key or value. */
export type EncodeRow = (row: readonly Datum[]) => Buffer;

const NONE = new Uint8Array(0);

/** `columns` as the positions in `all`. `format`: json (an object), array (a JSON array), text, avro. */
export function rowEncoder(
  format: string,
  all: readonly ColumnSchema[],
  positions: readonly number[],
  prefix: Uint8Array = NONE,
): EncodeRow {
  const columns = positions.map((position) => all[position]);
  const pick = (row: readonly Datum[]): Datum[] => positions.map((position) => row[position]);
  if (format === 'json' || format === 'array') {
    const form = format === 'json' ? 'object' : 'array';
    return (row) => encodeJsonRow(columns, pick(row), form);
  }
  if (format === 'text') {
    const [{ type }] = columns;
    return (row) => {
      const datum = row[positions[0]];
      return Buffer.from(datum === null ? '' : datumToText(datum, type));
    };
  }
  avroSchemaText('row', columns); // Refuses names that Avro does not have.
  const encoder = new AvroRowEncoder(columns);
  return (row) => encoder.encode(pick(row), prefix);
}

/** What stands before values in Avro: nothing, or Confluent's header. OPTION_INVALID. */
export function confluentPrefix(header: string, id: string | undefined, option: string): Uint8Array {
  if (header === 'none') {
    if (id !== undefined) throw new StreamError('OPTION_INVALID', `${option} is for header = 'confluent'`);
    return NONE;
  }
  if (id === undefined || !/^\d{1,10}$/.test(id) || Number(id) > 2147483647)
    throw new StreamError('OPTION_INVALID', `header = 'confluent' needs ${option}, the number of the schema`);
  const prefix = Buffer.alloc(5);
  prefix.writeInt32BE(Number(id), 1);
  return prefix;
}
