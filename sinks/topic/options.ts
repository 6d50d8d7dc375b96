import type { OptionSpec } from '../../src/ports/sink.ts';

/** `WITH (…)` of CREATE SINK … INTO TOPIC; docs/reference/sinks.md lists them. */
export const TOPIC_OPTIONS: readonly OptionSpec[] = [
  { name: 'topic', doc: "The topic, as named after INTO TOPIC; default: the sink's name. Made when missing." },
  { name: 'format', doc: 'How values are written.', default: 'json', oneOf: ['json', 'avro'] },
  {
    name: 'mode',
    doc: 'append: a record per row, for queries that never take rows back. upsert: the newest row of each key, and an empty record when it is gone. Default: what the query needs.',
    oneOf: ['append', 'upsert'],
  },
  {
    name: 'key',
    doc: "Columns of the record key, with commas between. upsert needs one; default: the query's own key.",
  },
  {
    name: 'key_format',
    doc: 'How keys are written: json as an object of the key columns, text as the bare text of the one key column, or avro.',
    default: 'json',
    oneOf: ['json', 'text', 'avro'],
  },
  {
    name: 'header',
    doc: "avro: what stands before the value: none, or confluent for a zero byte and the schema's id.",
    default: 'none',
    oneOf: ['none', 'confluent'],
  },
  { name: 'schema_id', doc: "The id that header = 'confluent' writes into values." },
  { name: 'key_schema_id', doc: "The id that header = 'confluent' writes into keys of key_format avro." },
  { name: 'partitions', doc: 'Partitions of the topic if it has to be made.', default: '1' },
];

/** `WITH (…)` of CREATE SUBSCRIPTION. */
export const SUBSCRIPTION_OPTIONS: readonly OptionSpec[] = [
  { name: 'retention', doc: 'How long changes are kept at least.', default: '1d' },
];

/** INTO TABLE takes none: how rows are written is the table's matter. */
export const TABLE_OPTIONS: readonly OptionSpec[] = [];
