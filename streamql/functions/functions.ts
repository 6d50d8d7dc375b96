import { ARRAYS } from './array-functions.ts';
import { BYTES } from './bytes-functions.ts';
import { CHOICES } from './choices.ts';
import { DATETIMES } from './datetime.ts';
import { MOMENTS_MORE } from './datetime-functions.ts';
import type { ScalarFunction } from './function-table.ts';
import { HASHES } from './hash-functions.ts';
import { INTERVALS } from './interval-functions.ts';
import { JSON_EDITS } from './json-edit.ts';
import { JSON_FUNCTIONS } from './json-functions.ts';
import { JSON_PATHS } from './json-path.ts';
import { MATH } from './math.ts';
import { NESTED } from './nested-functions.ts';
import { NUMBER_FORMATS } from './number-format.ts';
import { NUMBERS } from './number-functions.ts';
import { NUMBER_PARSES } from './number-parse.ts';
import { OPERATORS } from './operators.ts';
import { PERIODS } from './period-functions.ts';
import { REGEXES } from './regex-functions.ts';
import { SKETCHES } from './sketch-functions.ts';
import { STRINGS } from './strings.ts';
import { TEXTS } from './text-functions.ts';
import { jsScalar } from './user/js-functions.ts';
import { WithUserFunctions } from './user/user-function.ts';
import { wasmScalar } from './user/wasm-functions.ts';

/**
 * All scalar functions and operators, one row per overload, by id. A new one is a row in the file of its family; the binder, the
 * expression compiler, the DuckDB printer, SHOW FUNCTIONS and docs/reference/functions.md follow.
 */
export const FUNCTIONS: ReadonlyMap<string, ScalarFunction> = new WithUserFunctions(
  byId([
    ...OPERATORS,
    ...MATH,
    ...STRINGS,
    ...DATETIMES,
    ...JSON_FUNCTIONS,
    ...JSON_PATHS,
    ...CHOICES,
    ...SKETCHES,
    ...INTERVALS,
    ...MOMENTS_MORE,
    ...NUMBERS,
    ...NUMBER_FORMATS,
    ...NUMBER_PARSES,
    ...PERIODS,
    ...BYTES,
    ...NESTED,
    ...TEXTS,
    ...REGEXES,
    ...HASHES,
    ...ARRAYS,
    ...JSON_EDITS,
  ]),
  (fn, id) => (fn.kind !== 'scalar' ? undefined : fn.language === 'wasm' ? wasmScalar(fn, id) : jsScalar(fn, id)),
);

function byId(rows: readonly ScalarFunction[]): Map<string, ScalarFunction> {
  const out = new Map<string, ScalarFunction>();
  for (const row of rows) {
    if (out.has(row.id)) throw new Error(`two functions have the id ${row.id}`);
    out.set(row.id, row);
  }
  return out;
}

const byName = new Map<string, ScalarFunction[]>();
for (const row of FUNCTIONS.values()) {
  const overloads = byName.get(row.name);
  if (overloads === undefined) byName.set(row.name, [row]);
  else overloads.push(row);
}

/** Every overload of a name as it stands in SQL; empty when there is none. */
export const functionsNamed = (name: string): readonly ScalarFunction[] => byName.get(name) ?? [];
