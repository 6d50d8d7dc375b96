import { StreamError } from '../../../src/lib/errors.ts';
import { compareDatums, compareDouble, compareText, equalDatums } from '../../../src/values/compare.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { castDatum } from '../../functions/casts.ts';
import { INLINE_HELPERS } from '../../functions/operators.ts';
import { compareBytes, likeInBytes, sameBytes } from './text-bytes.ts';

/** TRY_CAST: NULL where a cast has no value. */
function tryCast(datum: Exclude<Datum, null>, from: SqlType, to: SqlType): Datum {
  try {
    return castDatum(datum, from, to);
  } catch (thrown) {
    if (thrown instanceof StreamError && thrown.code.startsWith('VALUE_')) return null;
    throw thrown;
  }
}

/** A Float64Array that a bigint has to go into becomes a plain array. */
export function widen(values: Float64Array | Datum[], used: number): Datum[] {
  return Array.isArray(values) ? values : Array.from(values.subarray(0, used));
}

/** What generated code may call, by name. */
export const HELPERS: Readonly<Record<string, unknown>> = {
  ...INLINE_HELPERS,
  compareDatums,
  compareDouble,
  compareText,
  equalDatums,
  castDatum,
  tryCast,
  widen,
  sameBytes,
  compareBytes,
  likeInBytes,
};
