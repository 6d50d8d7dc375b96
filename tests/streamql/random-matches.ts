import fc from 'fast-check';

/** Random MATCH_RECOGNIZE queries over t (k INT, ts TIMESTAMP, v INT). */

const VARIABLES = ['a', 'b', 'c', 'd'];

const { pattern } = fc.letrec<{ pattern: string; item: string }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...VARIABLES, 'a', 'b'),
    fc.tuple(tie('pattern'), tie('pattern')).map(([x, y]) => `(${x} | ${y})`),
    tie('pattern').map((x) => `(${x})`),
    tie('pattern').map((x) => `{- ${x} -}`),
    fc.constant('permute(a, b)'),
    fc.constantFrom('()', '^', ' $'),
  ),
  pattern: fc
    .array(
      fc
        .tuple(
          tie('item'),
          fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{2,}', '{,2}'),
          fc.constantFrom('', '', '?'),
        )
        .map(([item, times, reluctant]) => (times === '' ? item : `${item}${times}${reluctant}`)),
      { minLength: 1, maxLength: 4 },
    )
    .map((items) => items.join(' ')),
}));

/** Conditions on a row alone, its neighbours, the rows before, and everything. */
const conditions = (own: string): readonly string[] => [
  'v > 1',
  `${own}.v < 2`,
  'v >= PREV(v)',
  `${own}.v < PREV(${own}.v, 2)`,
  'NEXT(v) > v',
  `${own}.v > LAST(a.v)`,
  `${own}.v <> FIRST(a.v, 1) OR a.v IS NULL`,
  `${own}.v > PREV(LAST(b.v, 1)) OR b.v IS NULL`,
  'COUNT(*) <= 3',
  `SUM(${own}.v) < 4`,
  'MAX(u.v) = v',
  `AVG(v) > 1 OR LAST(CLASSIFIER(), 1) = 'b'`,
  'MATCH_NUMBER() < 3',
];

const define = (name: string): fc.Arbitrary<string> =>
  fc.constantFrom(...conditions(name)).map((condition) => `${name} AS ${condition}`);

const MEASURES = [
  'CLASSIFIER() AS last_one',
  'MATCH_NUMBER() AS n',
  'COUNT(*) AS rows_in_all',
  'COUNT(a.*) AS as',
  'SUM(a.v) AS sum_a',
  'AVG(b.v) AS avg_b',
  'MIN(v) AS least',
  'MAX(u.v + 1) AS most',
  'FIRST(a.v, 1) AS second_a',
  'LAST(v, 1) AS before_last',
  'PREV(FIRST(v)) AS before',
  'NEXT(LAST(b.v), 2) AS after_b',
  'FINAL LAST(b.ts) AS last_b',
  'RUNNING COUNT(b.v) AS running_b',
  "string_agg(CLASSIFIER(), '') AS word",
  'FIRST(u.v * 10) + LAST(v) AS mixed',
].map((measure) => measure.replace(' AS as', ' AS as_'));

export const matchQueries: fc.Arbitrary<string> = fc
  .record({
    pattern,
    partition: fc.constantFrom('PARTITION BY k ', ''),
    order: fc.constantFrom('ORDER BY ts', 'ORDER BY ts DESC, v', 'ORDER BY v NULLS FIRST'),
    measures: fc.subarray(MEASURES, { minLength: 1, maxLength: 5 }),
    rows: fc.constantFrom('ONE ROW', 'ONE ROW', 'ALL ROWS'),
    empties: fc.constantFrom('', ' OMIT EMPTY MATCHES', ' SHOW EMPTY MATCHES', ' WITH UNMATCHED ROWS'),
    skip: fc.constantFrom('', 'PAST LAST ROW', 'TO NEXT ROW', 'TO FIRST b', 'TO LAST u', 'TO b'),
    within: fc.constantFrom('', '', " WITHIN INTERVAL '3 seconds'"),
    defines: fc.tuple(...VARIABLES.map(define), fc.subarray([0, 1, 2, 3], { minLength: 1 })),
  })
  .map(({ pattern: written, partition, order, measures, rows, empties, skip, within, defines }) => {
    // Every variable that the clauses name has to be in the pattern.
    const text = `${written} | (d d d d a b c)`;
    const chosen = (defines[4] as number[]).map((i) => defines[i] as string);
    const overlaps = rows === 'ALL ROWS' && empties === ' WITH UNMATCHED ROWS' && skip.startsWith('TO');
    const after = skip === '' || overlaps ? '' : ` AFTER MATCH SKIP ${skip}`;
    const interval = order === 'ORDER BY ts' ? within : '';
    return (
      `SELECT * FROM t MATCH_RECOGNIZE (${partition}${order} MEASURES ${measures.join(', ')} ` +
      `${rows} PER MATCH${rows === 'ALL ROWS' ? empties : ''}${after} PATTERN (${text})${interval} ` +
      `SUBSET u = (a, b) DEFINE ${chosen.join(', ')})`
    );
  });
