import type { OptionSpec } from '../../src/ports/sink.ts';

/** `WITH (…)` of CREATE SINK … INTO ICEBERG; docs/reference/sinks.md lists them. */
export const ICEBERG_OPTIONS: readonly OptionSpec[] = [
  { name: 'warehouse', doc: 'Directory under which tables live; default: warehouse in the data directory.' },
  { name: 'namespace', doc: 'Directory of the table below the warehouse.', default: 'default' },
  { name: 'table', doc: "The table; default: the sink's name. Made when missing." },
  {
    name: 'mode',
    doc: 'How changes are written: append takes only queries whose rows are never taken back.',
    default: 'append',
    oneOf: ['append'],
  },
  { name: 'compression', doc: 'Of the Parquet files.', default: 'zstd', oneOf: ['zstd', 'snappy', 'gzip', 'none'] },
];
