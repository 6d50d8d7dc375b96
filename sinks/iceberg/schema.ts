import { StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { type SqlType, typeName } from '../../src/values/types.ts';

/** Iceberg's primitive type of a SQL type (spec, "Primitive Types"); what it has no counterpart for is written as text. SQL_UNSUPPORTED for rows and maps. */
function icebergType(type: SqlType): string {
  switch (type.kind) {
    case 'boolean':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'double':
      return type.kind;
    case 'smallint':
    case 'integer':
      return 'int';
    case 'bigint':
      return 'long';
    case 'real':
      return 'float';
    case 'decimal':
      return `decimal(${type.precision}, ${type.scale})`;
    case 'bytea':
      return 'binary';
    case 'row':
    case 'map':
      throw new StreamError('SQL_UNSUPPORTED', `an Iceberg sink cannot have a column of type ${typeName(type)}`, {
        hint: 'CAST it to JSONB: it is then written as text',
      });
    case 'array':
      if (type.element.kind === 'row' || type.element.kind === 'map') return icebergType(type.element);
      return 'string';
    default:
      return 'string';
  }
}

/** The projection that yields a column in its Iceberg type inside DuckDB. */
export function duckdbExpression(column: string, type: SqlType): string {
  switch (type.kind) {
    case 'smallint':
      return `CAST(${column} AS INTEGER)`;
    case 'interval':
      return `CAST(${column} AS VARCHAR)`;
    case 'array':
      return `CAST(to_json(${column}) AS VARCHAR)`;
    default:
      return column;
  }
}

export interface IcebergField {
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: unknown;
}

export interface IcebergSchema {
  readonly type: 'struct';
  readonly 'schema-id': number;
  readonly fields: readonly IcebergField[];
}

/** Columns are optional in the table even where the query proves them: DuckDB writes them so, and all readers take it. */
export function schemaOf(columns: readonly ColumnSchema[]): IcebergSchema {
  return {
    type: 'struct',
    'schema-id': 0,
    fields: columns.map((column, i) => ({
      id: i + 1,
      name: column.name,
      required: false,
      type: icebergType(column.type),
    })),
  };
}

/** The field id of each column in an existing table; SINK_REJECTED names the first column that does not fit. */
export function matchSchema(schema: IcebergSchema, columns: readonly ColumnSchema[], table: string): number[] {
  const hint = 'name another table, or select the columns that it has';
  const ids = columns.map((column) => {
    const field = schema.fields.find((candidate) => candidate.name === column.name);
    if (field === undefined)
      throw new StreamError('SINK_REJECTED', `table ${table} has no column "${column.name}"`, { hint });
    if (String(field.type) !== icebergType(column.type)) {
      throw new StreamError(
        'SINK_REJECTED',
        `column "${column.name}" of table ${table} is ${String(field.type)}, the query yields ${typeName(column.type)}`,
        { hint },
      );
    }
    return field.id;
  });
  const missing = schema.fields.find(
    (field) => field.required && !columns.some((column) => column.name === field.name),
  );
  if (missing !== undefined)
    throw new StreamError('SINK_REJECTED', `table ${table} requires column "${missing.name}"`, { hint });
  return ids;
}
