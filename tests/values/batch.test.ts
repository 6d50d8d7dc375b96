import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows, concatBatches, rowAt } from '../../src/values/batch.ts';
import { BIGINT, BOOLEAN, type Datum, DOUBLE, INTEGER, VARCHAR } from '../../src/values/types.ts';

const TYPES = [BIGINT, BOOLEAN, DOUBLE, INTEGER, VARCHAR];
const row = fc.tuple(
  fc.oneof(fc.constant(null), fc.nat(9), fc.constant(2n ** 60n)),
  fc.option(fc.boolean()),
  fc.option(fc.double()),
  fc.option(fc.nat(9)),
  fc.option(fc.string()),
);
const rows = fc.array(row, { maxLength: 4 });

test('batches end to end have the rows of all of them, in their order', () => {
  const property = fc.property(fc.array(fc.tuple(rows, fc.boolean()), { minLength: 1, maxLength: 4 }), (parts) => {
    const batches = parts.map(([part, isWeighted]) =>
      batchOfRows(TYPES, part as Datum[][], isWeighted ? part.map((_, i) => i - 9) : undefined),
    );
    const joined = concatBatches(TYPES, batches);
    const all = batches.flatMap((batch) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i)));
    expect(Array.from({ length: joined.length }, (_, i) => rowAt(joined, i))).toEqual(all);
    const weights = batches.flatMap((batch) => [...(batch.weights ?? new Array<number>(batch.length).fill(1))]);
    expect(joined.weights === null ? weights.map(() => 1) : [...joined.weights]).toEqual(weights);
  });
  fc.assert(property, { numRuns: 200 });
});
