import fc from 'fast-check';
import { test } from 'vitest';
import { type Datum, TIMESTAMP, VARCHAR } from '../../../../src/values/types.ts';
import { NowFilterOperator } from '../../../../streamql/engine/operators/now-filter.ts';
import type { Moment, NowFilter } from '../../../../streamql/plan/plan.ts';
import { type Case, checkHistory, histories, info, type Row } from '../history.ts';

const TYPES = [VARCHAR, TIMESTAMP, TIMESTAMP];
const schema = TYPES.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const time = fc.option(fc.integer({ min: 0, max: 40 }), { freq: 9, nil: null });
const rows = fc.tuple(fc.constantFrom<Datum>('a', 'b'), time, time) as fc.Arbitrary<Row>;

test.each([
  { from: [], until: [{ column: 1, plusMicros: 10 }] },
  { from: [{ column: 1, plusMicros: -3 }], until: [] },
  {
    from: [{ column: 1, plusMicros: 0 }],
    until: [
      { column: 1, plusMicros: 8 },
      { column: 2, plusMicros: 5 },
    ],
  },
  {
    from: [
      { column: 1, plusMicros: 4 },
      { column: 2, plusMicros: 1 },
    ],
    until: [{ column: 1, plusMicros: 20 }],
  },
] satisfies { from: Moment[]; until: Moment[] }[])('rows from $from until $until', ({ from, until }) => {
  const plan: NowFilter = { op: 'nowFilter', input: { op: 'values', rows: [], schema }, from, until, schema };
  fc.assert(
    fc.property(
      histories([rows], [false]),
      fc.constantFrom(1, 7, 100),
      fc.constantFrom(1, 3, 1000),
      fc.integer({ min: 0, max: 12 }),
      (history, batchSize, saveEvery, pace) => {
        let now = 0;
        const filter: Case = {
          types: [TYPES],
          appendOnly: [false],
          make(context) {
            const operator = new NowFilterOperator(info('0.nowFilter'), context, plan);
            const end = operator.endEpoch.bind(operator);
            operator.endEpoch = () => {
              now += pace;
              operator.tick(now);
              end();
            };
            return operator;
          },
          evaluate: ([all]) =>
            all.filter((row) => {
              const reached = ({ column, plusMicros }: Moment): boolean =>
                row[column] !== null && now >= (row[column] as number) + plusMicros;
              const passed = (moment: Moment): boolean => row[moment.column] === null || reached(moment);
              return from.every(reached) && !until.some(passed);
            }),
        };
        checkHistory(filter, history, batchSize, saveEvery);
      },
    ),
    { numRuns: 100 },
  );
});
