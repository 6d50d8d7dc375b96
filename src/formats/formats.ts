/**
 * The formats of record values: `WITH (format = …)` of CREATE SOURCE and CREATE TABLE. A row of FORMATS says which options a format has, which
 * columns its schema gives, and how to decode. docs/reference/formats.md is the same for users.
 */
import { StreamError } from '../lib/errors.ts';
import type { OptionSpec } from '../ports/sink.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { avroColumns, createAvroDecoder } from './avro/avro-decoder.ts';
import { type Framing, HeaderDecoder, schemaIdOf } from './confluent-header.ts';
import { type CsvOptions, createCsvDecoder } from './csv/csv-decoder.ts';
import { createDebeziumDecoder, TIME_UNITS } from './debezium/debezium.ts';
import type { ValueDecoder } from './decoder.ts';
import { createJsonDecoder } from './json/json-decoder.ts';
import { createProtoDecoder, messageIndexes, protoColumns } from './protobuf/proto-decoder.ts';
import { createRawDecoder, RAW_COLUMNS } from './raw/raw-decoder.ts';

export type Options = Readonly<Record<string, string>>;

export interface DecoderContext {
  readonly columns: readonly ColumnSchema[];
  /** Positions in `columns`, in the order of the decoded columns. */
  readonly wanted: readonly number[];
  /** Positions of the primary key; empty for a source. */
  readonly key: readonly number[];
  readonly options: Options;
}

interface Format {
  /** Names of FORMAT_OPTIONS that it takes. */
  readonly options: readonly string[];
  /** Columns when none are declared; null when only records can tell. */
  columns(options: Options): readonly ColumnSchema[] | null;
  /** OPTION_INVALID, SQL_BIND, SQL_TYPE, SQL_UNSUPPORTED when options and columns do not fit. */
  decoder(context: DecoderContext): ValueDecoder;
  /** What follows the schema's id in Confluent's header. */
  framing?(options: Options): Framing;
}

const FORMATS: Readonly<Record<string, Format>> = {
  json: {
    options: ['header', 'schema_id'],
    columns: () => null,
    decoder: ({ columns, wanted }) => createJsonDecoder(columns, wanted),
  },
  csv: {
    options: ['delimiter', 'quote', 'null_text'],
    columns() {
      throw new StreamError('SQL_BIND', 'a csv source needs its columns declared', {
        hint: 'declare them in the order of the fields',
      });
    },
    decoder: ({ columns, wanted, options }) => createCsvDecoder(columns, wanted, csvOptions(options)),
  },
  raw: {
    options: [],
    columns: () => RAW_COLUMNS,
    decoder: ({ columns, wanted, key }) => createRawDecoder(columns, wanted, key),
  },
  avro: {
    options: ['schema', 'header', 'schema_id'],
    columns: (options) => avroColumns(schemaOf(options)),
    decoder: ({ columns, wanted, key, options }) => createAvroDecoder(columns, wanted, schemaOf(options), key),
  },
  protobuf: {
    options: ['schema', 'message', 'header', 'schema_id'],
    columns: (options) => protoColumns(schemaOf(options), options['message']),
    decoder: ({ columns, wanted, key, options }) =>
      createProtoDecoder(columns, wanted, schemaOf(options), options['message'], key),
    framing: (options) => messageIndexes(schemaOf(options), options['message']),
  },
  debezium: {
    options: ['time_unit'],
    columns() {
      throw new StreamError('SQL_BIND', 'a debezium source needs its columns declared', {
        hint: 'declare the columns and the PRIMARY KEY of the database table',
      });
    },
    // Of the rows inside events; streamql/engine/runtime/debezium-rows.ts finds these and what they change.
    decoder: ({ columns, key, options }) => createDebeziumDecoder(columns, key, options['time_unit']),
  },
};

export const FORMAT_NAMES: readonly string[] = Object.keys(FORMATS);

/** What a record key may be written in; `json` takes bare text too (streamql/engine/runtime/table-key.ts). */
export const KEY_FORMAT_NAMES: readonly string[] = ['json', 'csv', 'raw', 'avro', 'protobuf'];

/** Options of `WITH` that belong to formats. Those of keys are the same with `key_` before them. */
export const FORMAT_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'schema',
    doc: 'avro: the schema that records are written with, as JSON. protobuf: the text of a .proto file, or a FileDescriptorSet in base64.',
  },
  { name: 'message', doc: 'protobuf: the full name of the message; default: the only one.' },
  {
    name: 'header',
    doc: "json, avro, protobuf: what stands before the value: none, or confluent for a zero byte and a schema's id.",
    oneOf: ['none', 'confluent'],
  },
  { name: 'schema_id', doc: "With header = 'confluent': the one id that is read; default: any." },
  {
    name: 'time_unit',
    doc: 'debezium: what numbers in columns of times are when the events carry no schema; default: ms.',
    oneOf: TIME_UNITS,
  },
  { name: 'delimiter', doc: 'csv: what stands between fields, one ASCII character or \\t; default: a comma.' },
  { name: 'quote', doc: 'csv: what fields may be enclosed in, one ASCII character; default: the double quote.' },
  { name: 'null_text', doc: 'csv: a field of this text, not in quotes, is NULL; default: the empty text.' },
];

const formatOf = (name: string): Format => {
  const format = FORMATS[name];
  if (format === undefined) throw new StreamError('OPTION_INVALID', `there is no format ${name}`);
  return format;
};

/** Those of `given` that are for the format. OPTION_INVALID for one that only other formats have. */
export function formatOptions(name: string, given: Options): Options {
  const { options } = formatOf(name);
  const own: Record<string, string> = {};
  for (const { name: option } of FORMAT_OPTIONS) {
    if (given[option] === undefined) continue;
    if (!options.includes(option)) {
      throw new StreamError('OPTION_INVALID', `option ${option} means nothing for format ${name}`, {
        hint: options.length === 0 ? 'leave it out' : `this format has: ${options.join(', ')}`,
      });
    }
    own[option] = given[option];
  }
  return own;
}

export const formatColumns = (name: string, options: Options): readonly ColumnSchema[] | null =>
  formatOf(name).columns(options);

export function createDecoder(name: string, context: DecoderContext): ValueDecoder {
  const format = formatOf(name);
  const decoder = format.decoder(context);
  const schemaId = schemaIdOf(context.options['schema_id']);
  if (context.options['header'] === 'confluent')
    return new HeaderDecoder(decoder, schemaId, format.framing?.(context.options) ?? null);
  if (schemaId === null) return decoder;
  throw new StreamError('OPTION_INVALID', "schema_id is for header = 'confluent'");
}

function schemaOf(options: Options): string {
  const { schema } = options;
  if (schema !== undefined) return schema;
  throw new StreamError('OPTION_INVALID', 'option schema is missing', {
    hint: 'write the schema of the records as text: schema = …',
  });
}

function csvOptions(options: Options): CsvOptions {
  const delimiter = singleByte('delimiter', options['delimiter'] === '\\t' ? '\t' : (options['delimiter'] ?? ','));
  const quote = singleByte('quote', options['quote'] ?? '"');
  if (delimiter === quote) throw new StreamError('OPTION_INVALID', 'delimiter and quote are the same');
  return { delimiter, quote, nullText: options['null_text'] ?? '' };
}

function singleByte(name: string, text: string): number {
  const code = text.charCodeAt(0);
  if (text.length !== 1 || code > 126 || code === 10 || code === 13)
    throw new StreamError('OPTION_INVALID', `${name} = '${text}': expected one ASCII character`);
  return code;
}
