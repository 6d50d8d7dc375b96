import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Relation, RelationCatalog } from '../../src/ports/relations.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { HIDDEN_COLUMNS } from '../../src/values/hidden-columns.ts';
import { BIGINT, type Datum } from '../../src/values/types.ts';
import { bindColumns, bindWatermark } from '../../streamql/binder/ddl.ts';
import { castDatum } from '../../streamql/functions/casts.ts';
import type { CreateSource, CreateTable } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import type { Row } from './reference.ts';

/** A catalogue from CREATE statements; ids are the names. */
export function catalogOf(ddl: string): RelationCatalog {
  const relations = new Map<string, Relation>();
  for (const statement of parseStatements(ddl) as (CreateSource | CreateTable)[]) {
    const isTable = statement.kind === 'createTable';
    const declared = bindColumns(statement.columns);
    const key = isTable ? statement.primaryKey.map((k) => declared.findIndex((c) => c.name === k.text)) : null;
    relations.set(statement.name.text, {
      id: statement.name.text,
      name: statement.name.text,
      kind: isTable ? 'table' : 'source',
      columns: [...declared, ...HIDDEN_COLUMNS],
      key,
      changelog: isTable ? 'upsert' : 'append',
      ...timeOf(statement, declared),
    });
  }
  return { relation: (name) => relations.get(name), relationNames: () => [...relations.keys()] };
}

function timeOf({ kind, watermark, options }: CreateSource | CreateTable, columns: readonly ColumnSchema[]) {
  if (kind === 'createTable' || watermark === null) return {};
  const firm = options.some(({ name, value }) => name === 'late' && value !== 'update');
  const { column } = bindWatermark(watermark, columns);
  return { time: { columns: [{ column, lagMicros: 0, ofWindow: false }], firm, idleTimeoutMs: 30_000 } };
}

const nexmark = resolve(import.meta.dirname, '../nexmark');
export const nexmarkFile = (path: string): string => readFileSync(join(nexmark, path), 'utf8');

export const NEXMARK_DDL = `
  CREATE SOURCE person (id BIGINT, name VARCHAR, email_address VARCHAR, credit_card VARCHAR, city VARCHAR, state VARCHAR,
    date_time TIMESTAMP, extra VARCHAR);
  CREATE SOURCE auction (id BIGINT, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT,
    date_time TIMESTAMP, expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR);
  CREATE SOURCE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR)`;

/** The rows of a Nexmark topic in the columns of its source. */
export function nexmarkRows(topic: string, columns: readonly ColumnSchema[]): Row[] {
  const lines = nexmarkFile(`data/${topic}.ndjson`).trim().split('\n');
  return lines.map((line, offset) => {
    const record = JSON.parse(line) as Record<string, string | number>;
    const hidden: Datum[] = [topic, 0, offset, 0, null, '[]'];
    const declared = columns.slice(0, -hidden.length);
    const values = declared.map(({ name, type }): Datum => {
      const value = record[name];
      return typeof value === 'string' && type !== BIGINT ? castDatum(value, { kind: 'varchar' }, type) : value;
    });
    return [...values, ...hidden];
  });
}
