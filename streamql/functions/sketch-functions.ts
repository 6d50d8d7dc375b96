import { INTEGER } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { hllCell, sketchBucket } from './sketches.ts';

/** The mappings before approx_count_distinct and approx_percentile. */
export const SKETCHES: readonly ScalarFunction[] = [
  {
    name: 'hll_cell',
    id: 'hll_cell',
    args: ['any'],
    returns: () => INTEGER,
    call: ([value], [type]) => hllCell(value, type),
    own: true,
    doc: 'Register × 64 + rank of a value in the HyperLogLog that approx_count_distinct keeps.',
    example: ['hll_cell(NULL)', 'NULL'],
  },
  {
    name: 'sketch_bucket',
    id: 'sketch_bucket',
    args: ['double'],
    returns: () => INTEGER,
    call: ([value]) => sketchBucket(value),
    own: true,
    doc: 'The logarithmic bucket of a number in the sketch that approx_percentile keeps.',
    example: ['sketch_bucket(0)', '0'],
  },
];
