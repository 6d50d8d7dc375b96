import type { Relation, RelationCatalog } from '../../src/ports/relations.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { historyColumns } from '../../src/values/hidden-columns.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  DATE,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  mapOf,
  REAL,
  rowOf,
  SMALLINT,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from '../../src/values/types.ts';

/** The relations that random queries read, one of each sort that a query may meet, as a catalogue. */
export const TYPES = {
  int: BIGINT,
  dec: decimal(10, 2),
  dbl: DOUBLE,
  text: VARCHAR,
  bool: BOOLEAN,
  ts: TIMESTAMP,
  i4: INTEGER,
  i2: SMALLINT,
  real: REAL,
  date: DATE,
  time: TIME,
  tz: TIMESTAMPTZ,
  iv: INTERVAL,
  uuid: UUID,
  json: JSONB,
  bytes: BYTEA,
  ints: arrayOf(BIGINT),
  texts: arrayOf(VARCHAR),
  row: rowOf([
    { name: 'a', type: INTEGER },
    { name: 'b', type: VARCHAR },
  ]),
  map: mapOf(VARCHAR, DOUBLE),
} as const satisfies Record<string, SqlType>;
export type Kind = keyof typeof TYPES;

/** `a` is only appended to, `g` has retractions, `t` is keyed by k; `f` and `h` are streams without late rows; `c` has the other types. */
export const RELATIONS: Readonly<Record<string, readonly (readonly [name: string, kind: Kind])[]>> = {
  a: [
    ['k', 'int'],
    ['v', 'int'],
    ['d', 'dec'],
    ['x', 'dbl'],
    ['s', 'text'],
    ['b', 'bool'],
    ['ts', 'ts'],
  ],
  g: [
    ['k', 'int'],
    ['w', 'int'],
    ['e', 'dec'],
    ['s', 'text'],
    ['ts', 'ts'],
  ],
  t: [
    ['k', 'int'],
    ['n', 'text'],
    ['m', 'int'],
  ],
  f: [
    ['k', 'int'],
    ['v', 'int'],
    ['s', 'text'],
    ['ts', 'ts'],
  ],
  h: [
    ['k', 'int'],
    ['p', 'int'],
    ['ts', 'ts'],
  ],
  c: [
    ['k', 'int'],
    ['i4', 'i4'],
    ['i2', 'i2'],
    ['r', 'real'],
    ['dt', 'date'],
    ['tm', 'time'],
    ['tz', 'tz'],
    ['iv', 'iv'],
    ['u', 'uuid'],
    ['j', 'json'],
    ['by', 'bytes'],
    ['ns', 'ints'],
    ['ss', 'texts'],
    ['rw', 'row'],
    ['mp', 'map'],
  ],
};

/** How far rows of `f` and `h` may be behind the greatest time before them. */
export const LAG_MICROS = 4_000_000;
export const isFirm = (relation: string): boolean => relation === 'f' || relation === 'h';

export const schemaOf = (name: string): readonly ColumnSchema[] =>
  name === 't$history'
    ? HISTORY
    : RELATIONS[name].map(([column, kind]) => ({
        name: column,
        type: TYPES[kind],
        nullable: !(name === 't' && column === 'k'),
      }));
/** As the catalogue has it, with those of the hidden columns that versions are told apart by. */
const HISTORY: readonly ColumnSchema[] = historyColumns(
  [
    ...schemaOf('t'),
    { name: '_partition', type: INTEGER, nullable: false, hidden: true },
    { name: '_offset', type: BIGINT, nullable: false, hidden: true },
  ],
  [0],
);

function relationOf(name: string): Relation {
  const time = schemaOf(name).findIndex((column) => column.name === 'ts');
  return {
    id: name,
    name,
    kind: name === 't' ? 'table' : name === 'g' || name === 'c' ? 'view' : 'source',
    columns: schemaOf(name),
    key: name === 't' ? [0] : null,
    changelog: name === 't' ? 'upsert' : name === 'g' || name === 'c' ? 'general' : 'append',
    ...(isFirm(name) && {
      time: { columns: [{ column: time, lagMicros: 0, ofWindow: false }], firm: true, idleTimeoutMs: 0 },
    }),
  };
}

const all = new Map([...Object.keys(RELATIONS), 't$history'].map((name) => [name, relationOf(name)]));
export const catalog: RelationCatalog = {
  relation: (name) => all.get(name),
  relationNames: () => Object.keys(RELATIONS),
};
