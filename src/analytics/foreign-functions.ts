import type { ScalarFunction } from '../../streamql/functions/function-table.ts';
import type { SqlType } from '../values/types.ts';

/** Functions whose answer DuckDB would give differently, by id: our own code runs inside DuckDB instead. */
const FOREIGN: ReadonlySet<string> = new Set([]);

export const isForeign = (fn: ScalarFunction, _types: readonly SqlType[]): boolean => FOREIGN.has(fn.id);
