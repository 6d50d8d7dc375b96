import { compareDatums } from '../../src/values/compare.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';

/** The extreme of its arguments, all of one type; NULLs are passed over, as in Postgres. */
function extreme(name: 'greatest' | 'least', direction: number): ScalarFunction {
  return {
    name,
    id: name,
    args: ['any'],
    variadic: true,
    nullAware: true,
    returns: ([type]) => type,
    call: (args: readonly Datum[], types: readonly SqlType[]) => {
      let best: Datum = null;
      for (const arg of args) {
        if (arg !== null && (best === null || compareDatums(arg, best, types[0]) * direction > 0)) best = arg;
      }
      return best;
    },
    doc: `The ${name === 'greatest' ? 'largest' : 'smallest'} of the values; NULLs are passed over.`,
  };
}

export const CHOICES: readonly ScalarFunction[] = [extreme('greatest', 1), extreme('least', -1)];
