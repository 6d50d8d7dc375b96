import { choice, countIf, ifNotNull, joined, orZero, type Rewrite, rename } from './calls.ts';
import type { Writing } from './scan.ts';

/** What a dialect has of its own, beside what it shares with StreamQL. What is in no table goes to the parser as it is, which refuses what it does not know. */
export interface Dialect {
  readonly writing: Writing;
  /** Quoted names are not told apart by case. */
  readonly foldsQuoted: boolean;
  /** Integers divide into fractions. */
  readonly fractions: boolean;
  /** Where NULL stands in ORDER BY that does not say. */
  readonly nulls: 'largest' | 'smallest' | 'last';
  readonly calls: Readonly<Record<string, Rewrite>>;
  /** In CAST and after :: */
  readonly types: Readonly<Record<string, string>>;
  /** Operators, by how they are written. */
  readonly operators: Readonly<Record<string, string>>;
  /** Words and signs that mean something else in StreamQL, or nothing, with what to do. */
  readonly refused: Readonly<Record<string, string>>;
}

const ANSI: Writing = { nameQuotes: '"', stringQuotes: "'", backslashes: false, hashComments: false };
const TICKS: Writing = { nameQuotes: '`', stringQuotes: '\'"', backslashes: true, hashComments: true };

const COMMON_CALLS: Readonly<Record<string, Rewrite>> = {
  ifnull: rename('coalesce'),
  nvl: rename('coalesce'),
  nvl2: ifNotNull,
  if: choice,
  iff: choice,
  zeroifnull: orZero,
  countif: countIf,
  count_if: countIf,
  approx_distinct: rename('approx_count_distinct'),
  listagg: joined,
  group_concat: joined,
  ucase: rename('upper'),
  lcase: rename('lower'),
  safe_cast: rename('try_cast'),
};

const COMMON_TYPES: Readonly<Record<string, string>> = {
  string: 'varchar',
  int64: 'bigint',
  float64: 'double precision',
  bytes: 'bytea',
  bool: 'boolean',
  number: 'numeric',
  tinyint: 'smallint',
  byteint: 'smallint',
  signed: 'bigint',
  datetime: 'timestamp',
  timestamp_ntz: 'timestamp',
  timestamp_tz: 'timestamptz',
  timestamp_ltz: 'timestamptz',
  varbinary: 'bytea',
  variant: 'jsonb',
};

const BASE: Dialect = {
  writing: ANSI,
  foldsQuoted: true,
  fractions: true,
  nulls: 'smallest',
  calls: COMMON_CALLS,
  types: COMMON_TYPES,
  operators: {},
  refused: {},
};

/** `SET dialect = …`; docs/reference/sql.md lists them. */
export const DIALECTS: Readonly<Record<string, Dialect>> = {
  mysql: {
    ...BASE,
    writing: TICKS,
    operators: { '&&': 'and', '||': 'or', '<=>': 'is not distinct from', rlike: '~', regexp: '~' },
    refused: {
      '!': 'write NOT',
      xor: 'write a <> b of booleans',
      div: 'write floor(a / b)',
      '@': 'variables are not known',
      unsigned: 'CAST to BIGINT or NUMERIC',
      separator: "write GROUP_CONCAT(x, ';')",
      straight_join: 'write JOIN',
    },
  },
  bigquery: { ...BASE, writing: TICKS, refused: { '@': 'write parameters as $1', unnest: 'use StreamQL for arrays' } },
  spark: {
    ...BASE,
    writing: { ...TICKS, hashComments: false },
    operators: { '<=>': 'is not distinct from', rlike: '~' },
    refused: { lateral: 'use StreamQL for LATERAL VIEW', div: 'write floor(a / b)' },
  },
  snowflake: {
    ...BASE,
    foldsQuoted: false,
    nulls: 'largest',
    refused: { flatten: 'use StreamQL for arrays', sample: 'filter on a column instead' },
  },
  trino: { ...BASE, fractions: false, nulls: 'last', refused: { unnest: 'use StreamQL for arrays' } },
};
