import type { Relation, RelationCatalog } from '../../src/ports/relations.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import {
  BIGINT,
  BOOLEAN,
  type Datum,
  DOUBLE,
  decimal,
  type SqlType,
  TIMESTAMP,
  VARCHAR,
} from '../../src/values/types.ts';
import { type Random, RELATIONS } from './query-generator.ts';

/** The relations of the query generator as a catalogue, and random changes of them. */
const TYPES: Readonly<Record<string, SqlType>> = {
  int: BIGINT,
  dec: decimal(10, 2),
  dbl: DOUBLE,
  text: VARCHAR,
  bool: BOOLEAN,
  ts: TIMESTAMP,
};
const START_MICROS = Date.UTC(2026, 0, 1) * 1000;

export const schemaOf = (name: string): ColumnSchema[] =>
  RELATIONS[name].map(([column, kind]) => ({
    name: column,
    type: TYPES[kind],
    nullable: !(name === 't' && column === 'k'),
  }));
const CHANGELOGS = { a: 'append', g: 'general', t: 'upsert' } as const;
export const catalog: RelationCatalog = {
  relation: (name): Relation | undefined =>
    name in RELATIONS
      ? {
          id: name,
          name,
          kind: name === 't' ? 'table' : 'view',
          columns: schemaOf(name),
          key: name === 't' ? [0] : null,
          changelog: CHANGELOGS[name as 'a'],
        }
      : undefined,
  relationNames: () => Object.keys(RELATIONS),
};

function randomDatum(random: Random, kind: string): Datum {
  if (random.chance(0.15)) return null;
  switch (kind) {
    case 'int':
      return random.chance(0.05)
        ? random.pick<Datum>([9007199254740993n, -9007199254740993n, 1000000007])
        : random.below(7) - 1;
    case 'dec':
      return random.below(900) - 100;
    case 'dbl':
      return random.pick<Datum>([0.5, -1.25, 3, 1e10, random.below(5)]);
    case 'text':
      return random.pick<Datum>(['a', 'b', 'ab', 'ba', '', 'Zü', '\u{1f600}']);
    case 'bool':
      return random.chance(0.5);
    default:
      return START_MICROS + (random.below(90_000) - 20_000) * 1000;
  }
}

const randomRow = (random: Random, relation: string): Datum[] =>
  RELATIONS[relation].map(([, kind]) => randomDatum(random, kind));
export const idOf = (row: readonly Datum[]): string =>
  row.map((datum) => (datum === null ? '∅' : `${typeof datum}:${String(datum)}`)).join('|');

/** What one epoch brings to a relation, applied to `rows`, which is its content. */
export function changesOf(random: Random, relation: string, rows: Datum[][]): { row: Datum[]; weight: number }[] {
  const changes: { row: Datum[]; weight: number }[] = [];
  const count = random.below(8);
  for (let i = 0; i < count; i++) {
    if (relation === 't') {
      const row = randomRow(random, 't');
      row[0] = random.below(6);
      const old = rows.findIndex((one) => one[0] === row[0]);
      if (old >= 0) changes.push({ row: rows.splice(old, 1)[0], weight: -1 });
      if (old < 0 || random.chance(0.7)) {
        rows.push(row);
        changes.push({ row, weight: 1 });
      }
    } else if (relation === 'g' && rows.length > 0 && random.chance(0.35)) {
      changes.push({ row: rows.splice(random.below(rows.length), 1)[0], weight: -1 });
    } else {
      const row = rows.length > 0 && random.chance(0.15) ? random.pick(rows) : randomRow(random, relation);
      rows.push(row);
      changes.push({ row, weight: 1 });
    }
  }
  return changes;
}

/** Doubles to twelve digits: the order of a sum may show in the last ones. */
export const shown = (row: readonly Datum[], schema: readonly ColumnSchema[]): string =>
  row
    .map((datum, c) =>
      schema[c].type.kind === 'double' && typeof datum === 'number' ? datum.toPrecision(12) : String(datum),
    )
    .join(' | ');
