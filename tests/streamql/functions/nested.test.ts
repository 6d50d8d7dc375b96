import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { jsonOfDatum } from '../../../src/formats/json/json-encoder.ts';
import { valueReader } from '../../../src/formats/json/json-values.ts';
import { datumFromJson, datumToJson } from '../../../src/values/json.ts';
import { packMap, packRow, unpackMap, unpackRow } from '../../../src/values/nested.ts';
import { datumFromText, datumToText } from '../../../src/values/text.ts';
import { arrayOf, BIGINT, BOOLEAN, type Datum, decimal, mapOf, rowOf, VARCHAR } from '../../../src/values/types.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { newAnalytics, runOver } from '../../analytics/rig.ts';
import { catalogOf } from '../catalog.ts';
import { bag, type Row, runPlan } from '../reference.ts';

const INNER = rowOf([
  { name: 'x', type: VARCHAR },
  { name: 'y', type: decimal(8, 2) },
]);
const MAP = mapOf(VARCHAR, BIGINT);
const ROW = rowOf([
  { name: 'id', type: BIGINT },
  { name: 'tag', type: VARCHAR },
  { name: 'ok', type: BOOLEAN },
  { name: 'list', type: arrayOf(VARCHAR) },
  { name: 'inner', type: INNER },
  { name: 'm', type: MAP },
]);

const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4, nil: null });
const texts = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('', 'NULL', '(a,b)', '"', '\\', '=>', "'", ' x '));
const inners = fc.tuple(orNull(texts), orNull(fc.integer())).map((values) => packRow(values.map(small), INNER));
const small = (datum: Datum): Datum => (typeof datum === 'number' ? datum % 1_000_000 : datum);
const maps = fc.array(fc.tuple(texts, orNull(fc.integer())), { maxLength: 4 }).map((entries) => packMap(entries, MAP));
const rows = fc
  .tuple(
    orNull(fc.constantFrom<Datum>(0, -5, 9223372036854775807n)),
    orNull(texts),
    orNull(fc.boolean()),
    orNull(fc.array(orNull(texts), { maxLength: 3 })),
    orNull(inners),
    orNull(maps),
  )
  .map((values) => packRow(values as Datum[], ROW));

describe('rows and maps are read back as they were written', () => {
  const check = (back: (row: string) => Datum) =>
    fc.assert(
      fc.property(rows, (row) => {
        expect(back(row)).toBe(row);
      }),
      { numRuns: 300 },
    );
  test('as fields', () => check((row) => packRow(unpackRow(row, ROW), ROW)));
  test('as text', () => check((row) => datumFromText(datumToText(row, ROW), ROW)));
  test('as records', () => {
    const read = valueReader(ROW);
    check((row) => {
      const bytes = Buffer.from(jsonOfDatum(ROW, row));
      return read(bytes, 0, bytes.length) as Datum;
    });
  });
  test('as JSON', () => check((row) => datumFromJson(datumToJson(row, ROW), ROW)));
  test('maps as text', () => {
    fc.assert(
      fc.property(maps, (map) => {
        expect(datumFromText(datumToText(map, MAP), MAP)).toBe(map);
      }),
    );
  });
});

test('texts', () => {
  const row = packRow([1, 'a "b"', true, ['x', null], null, packMap([['k', 2]], MAP)], ROW);
  expect(datumToText(row, ROW)).toBe('(1,"a ""b""",t,"{x,NULL}",,"""k""=>""2""")');
  expect(datumToJson(row, ROW)).toEqual({ id: 1, tag: 'a "b"', ok: true, list: ['x', null], inner: null, m: { k: 2 } });
  expect(
    unpackMap(
      packMap(
        [
          ['b', 1],
          ['a', 2],
          ['b', 3],
        ],
        MAP,
      ),
      MAP,
    ),
  ).toEqual([
    ['a', 2],
    ['b', 3],
  ]);
  for (const text of ['', '(1', '1,2', '(1,2)', '(x,,,,,)']) {
    expect(() => datumFromText(text, ROW)).toThrow(expect.objectContaining({ code: 'VALUE_CAST' }));
  }
  for (const text of ['a', '"a"=>', 'a=>b,', 'a=>1 b=>2']) {
    expect(() => datumFromText(text, MAP)).toThrow(expect.objectContaining({ code: 'VALUE_CAST' }));
  }
});

describe('queries', () => {
  const analytics = newAnalytics();
  afterAll(() => analytics.close());
  const catalog = catalogOf(
    'CREATE SOURCE s (r ROW(id BIGINT, inner ROW(x TEXT, y DECIMAL(8, 2))), m MAP(VARCHAR, BIGINT))',
  );
  const HIDDEN: readonly Datum[] = ['x', 0, 0, 0, null, '[]'];
  const outer = rowOf([
    { name: 'id', type: BIGINT },
    { name: 'inner', type: INNER },
  ]);
  const S: Row[] = [
    [packRow([1, packRow(['a', 150], INNER)], outer), packMap([['k', 1]], MAP)],
    [
      packRow([1, packRow(['a', 150], INNER)], outer),
      packMap(
        [
          ['j', 2],
          ['k', 5],
        ],
        MAP,
      ),
    ],
    [packRow([2, null], outer), null],
    [null, packMap([], MAP)],
  ].map((row) => [...row, ...HIDDEN]);
  test.each([
    'SELECT r, m FROM s',
    "SELECT r.id, s.r.inner.x, (r).inner.y + 1, m['k'] FROM s",
    'SELECT r.inner, count(*), sum(m[$$k$$]) FROM s GROUP BY r.inner',
    'SELECT DISTINCT r FROM s',
    "SELECT ROW(r.id, 'x'), CAST(ROW(r.id, 2) AS ROW(a BIGINT, b TEXT)), MAP[r.id, m] FROM s WHERE r IS NOT NULL",
    'SELECT r::varchar, m::varchar, r::jsonb, to_jsonb(m) FROM s',
    "SELECT map_keys(m), map_values(m), cardinality(m), map_concat(m, MAP['z', 9]) FROM s",
    'SELECT a.r FROM s AS a JOIN s AS b ON a.r = b.r',
    `SELECT CAST('(7,"(x,1.5)")' AS ROW(id BIGINT, inner ROW(x TEXT, y DECIMAL(8, 2)))) = r FROM s`,
  ])('%s', async (sql) => {
    const [statement] = parseStatements(sql) as QueryStatement[];
    const { plan } = bindQuery(statement.query, catalog, { mode: 'pull' });
    expect(bag(await runOver(analytics, plan, () => S, 3))).toEqual(bag(runPlan(plan, () => S)));
  });

  test.each(['SELECT r.nothing FROM s', 'SELECT (m).x FROM s', 'SELECT CAST(ROW(1) AS ROW(a INT, b INT))'])(
    'refused: %s',
    (sql) => {
      const [statement] = parseStatements(sql) as QueryStatement[];
      expect(() => bindQuery(statement.query, catalog, { mode: 'pull' })).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^SQL_/) }),
      );
    },
  );
});
