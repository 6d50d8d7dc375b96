import type { ScalarFunction } from '../../streamql/functions/function-table.ts';
import type { SqlType } from '../values/types.ts';

interface ForeignRow {
  readonly ids: RegExp;
  /** What DuckDB does otherwise. */
  readonly why: string;
  /** Only for these types of the arguments and the result. */
  readonly when?: (types: readonly SqlType[]) => boolean;
}

/** Functions whose answer DuckDB would give differently: our own code runs inside DuckDB instead (foreign-calls.ts). */
const FOREIGN: readonly ForeignRow[] = [
  { ids: /^(upper|initcap|ilike)$/, why: 'it has a capital ß' },
  { ids: /^\*\.interval/, why: 'it multiplies intervals by 32 bits' },
  { ids: /^(->|->>|#>>|#>|jsonb_|to_jsonb)/, why: 'it has no empty keys, and reformats numbers in JSON' },
  {
    ids: /^(greatest|least)$/,
    why: 'it orders intervals by their months first',
    when: (types) => types.some((type) => type.kind === 'interval'),
  },
];

export const isForeign = (fn: ScalarFunction, types: readonly SqlType[]): boolean =>
  FOREIGN.some(({ ids, when }) => ids.test(fn.id) && (when === undefined || when(types)));
