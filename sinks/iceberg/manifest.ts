import type { IcebergSchema } from './schema.ts';

/** Avro schemas of manifests and manifest lists, format v2, unpartitioned (spec, "Manifests" and "Manifest Lists"). */

const field = (id: number, name: string, type: unknown) => ({ name, type, 'field-id': id });
const optional = (id: number, name: string, type: unknown) => ({
  name,
  type: ['null', type],
  default: null,
  'field-id': id,
});

/** Iceberg's maps with int keys are arrays of pairs. */
const mapById = (keyId: number, valueId: number, value: unknown) => ({
  type: 'array',
  logicalType: 'map',
  items: {
    type: 'record',
    name: `k${keyId}_v${valueId}`,
    fields: [field(keyId, 'key', 'int'), field(valueId, 'value', value)],
  },
});

export const MANIFEST_SCHEMA = {
  type: 'record',
  name: 'manifest_entry',
  fields: [
    field(0, 'status', 'int'),
    optional(1, 'snapshot_id', 'long'),
    optional(3, 'sequence_number', 'long'),
    optional(4, 'file_sequence_number', 'long'),
    field(2, 'data_file', {
      type: 'record',
      name: 'r2',
      fields: [
        field(134, 'content', 'int'),
        field(100, 'file_path', 'string'),
        field(101, 'file_format', 'string'),
        field(102, 'partition', { type: 'record', name: 'r102', fields: [] }),
        field(103, 'record_count', 'long'),
        field(104, 'file_size_in_bytes', 'long'),
        optional(108, 'column_sizes', mapById(117, 118, 'long')),
        optional(109, 'value_counts', mapById(119, 120, 'long')),
        optional(110, 'null_value_counts', mapById(121, 122, 'long')),
        optional(125, 'lower_bounds', mapById(126, 127, 'bytes')),
        optional(128, 'upper_bounds', mapById(129, 130, 'bytes')),
        optional(140, 'sort_order_id', 'int'),
      ],
    }),
  ],
};

export const MANIFEST_LIST_SCHEMA = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    field(500, 'manifest_path', 'string'),
    field(501, 'manifest_length', 'long'),
    field(502, 'partition_spec_id', 'int'),
    field(517, 'content', 'int'),
    field(515, 'sequence_number', 'long'),
    field(516, 'min_sequence_number', 'long'),
    field(503, 'added_snapshot_id', 'long'),
    field(504, 'added_files_count', 'int'),
    field(505, 'existing_files_count', 'int'),
    field(506, 'deleted_files_count', 'int'),
    field(512, 'added_rows_count', 'long'),
    field(513, 'existing_rows_count', 'long'),
    field(514, 'deleted_rows_count', 'long'),
  ],
};

/** What the file's own header says of it. */
export const manifestMetadata = (schema: IcebergSchema): Record<string, string> => ({
  schema: JSON.stringify(schema),
  'schema-id': String(schema['schema-id']),
  'partition-spec': '[]',
  'partition-spec-id': '0',
  'format-version': '2',
  content: 'data',
});

export const ADDED = 1;
export const EXISTING = 0;
