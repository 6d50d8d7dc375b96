import { datumToText } from '../../src/values/text.ts';
import { typeName } from '../../src/values/types.ts';
import { type Change, idOf } from './case.ts';
import { isFirm, RELATIONS, schemaOf } from './relations.ts';

/**
 * Random queries and changes as statements for a server: `g` and `c` are views of tables whose rows are deleted, and a part of the queries is
 * made when rows are there already.
 */
export function asStatements(queries: readonly string[], epochs: readonly (readonly Change[])[]): string {
  const views = queries.map((sql, i) => `CREATE MATERIALIZED VIEW v${i} AS ${sql};`);
  const late = views.splice(views.length >> 1);
  const ids = new Map<string, number[]>();
  let made = 0;
  const rows = epochs.map((changes) => changes.flatMap((change) => statementsOf(change, ids, () => ++made)));
  return [
    ...Object.keys(RELATIONS).flatMap(creates),
    ...views,
    ...batched(rows[0]),
    ...late,
    ...rows.slice(1).flatMap(batched),
  ].join('\n');
}

const isSynthetic = (relation: string): boolean => relation === 'g' || relation === 'c';

function creates(relation: string): string[] {
  const columns = schemaOf(relation).map(({ name, type }) => `${name} ${typeName(type)}`);
  if (relation === 't') return [`CREATE TABLE t (${columns.join(', ')}, PRIMARY KEY (k));`];
  if (isSynthetic(relation)) {
    return [
      `CREATE TABLE ${relation}_rows (id BIGINT PRIMARY KEY, ${columns.join(', ')});`,
      `CREATE MATERIALIZED VIEW ${relation} AS SELECT ${schemaOf(relation)
        .map(({ name }) => name)
        .join(', ')} FROM ${relation}_rows;`,
    ];
  }
  const watermark = isFirm(relation) ? ", WATERMARK FOR ts AS ts - INTERVAL '4 seconds'" : '';
  return [
    `CREATE SOURCE ${relation} (${columns.join(', ')}${watermark})${isFirm(relation) ? " WITH (late = 'drop')" : ''};`,
  ];
}

/** The name of the table and a row of values, or a DELETE. */
type Statement = { readonly table: string; readonly values: string } | { readonly sql: string };

function statementsOf({ relation, row, weight }: Change, ids: Map<string, number[]>, next: () => number): Statement[] {
  // Versions of the table's rows are its records.
  if (relation === 't$history') return [];
  const values = row.map((datum, i) =>
    datum === null ? 'NULL' : `'${datumToText(datum, schemaOf(relation)[i].type).replaceAll("'", "''")}'`,
  );
  if (relation === 't')
    return [weight > 0 ? { table: 't', values: values.join(', ') } : { sql: `DELETE FROM t WHERE k = ${values[0]};` }];
  if (!isSynthetic(relation)) return [{ table: relation, values: values.join(', ') }];
  const key = `${relation} ${idOf(row)}`;
  const there = ids.get(key) ?? [];
  ids.set(key, there);
  if (weight < 0) return [{ sql: `DELETE FROM ${relation}_rows WHERE id = ${there.pop()};` }];
  there.push(next());
  return [{ table: `${relation}_rows`, values: `${there.at(-1)}, ${values.join(', ')}` }];
}

/** Rows of one table that follow each other are one INSERT. */
function batched(statements: readonly Statement[]): string[] {
  const out: string[] = [];
  let table: string | null = null;
  for (const statement of statements) {
    if ('sql' in statement) out.push(statement.sql);
    else if (statement.table === table) out.push(out.pop()!.replace(/;$/, `, (${statement.values});`));
    else out.push(`INSERT INTO ${statement.table} VALUES (${statement.values});`);
    table = 'sql' in statement ? null : statement.table;
  }
  return out;
}
