import { StreamError } from '../../../src/lib/errors.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { ScalarFunction } from '../function-table.ts';
import type { TableFunction } from '../table-functions.ts';
import { NUMBERS, QUICK, sandboxOf } from './js-program.ts';
import { fromJs, toJs, toQuick } from './js-values.ts';
import { signatureOf, type UserFunction } from './user-function.ts';

const RANGES: Readonly<Record<string, number>> = { smallint: 2 ** 15, integer: 2 ** 31 };

const isWithin = (value: number, { kind }: SqlType): boolean =>
  kind === 'double' || kind === 'bigint' || (Number.isInteger(value) && value >= -RANGES[kind] && value < RANGES[kind]);

export function jsScalar(fn: UserFunction, id: string): ScalarFunction {
  const types = fn.params.map(({ type }) => type);
  const returns = fn.returns as SqlType;
  const isQuick = NUMBERS[returns.kind] !== undefined;
  let found: ReturnType<typeof sandboxOf> | undefined;
  return {
    name: fn.name,
    id,
    args: types.map(({ kind }) => (kind === 'array' ? 'any' : kind)),
    returns: () => returns,
    together: (given) => (given.length === types.length ? types : undefined),
    call: (args) => {
      found ??= sandboxOf(fn);
      const { sandbox, main } = found;
      if (!isQuick) {
        const handles = args.map((arg: Datum, i) => toJs(sandbox, arg, types[i]));
        return fromJs(sandbox, sandbox.call(main, handles), returns);
      }
      const handles = args.map((arg: Datum, i) => toQuick(sandbox, arg, types[i]));
      const result = sandbox.call(QUICK, handles);
      const value = sandbox.vm.getNumber(result);
      if (value === value && isWithin(value, returns)) {
        result.dispose();
        return value === 0 && returns.kind !== 'double' ? 0 : value;
      }
      const boxed = value === value ? result : result.consume((box) => sandbox.vm.getProp(box, 'v'));
      return fromJs(sandbox, boxed, returns);
    },
    own: true,
    doc: `${signatureOf(fn)}, in JavaScript`,
  };
}

/** An array of rows: each an array of values or an object with a property per column; for one column also the bare values. */
export function jsTable(fn: UserFunction, id: string): TableFunction {
  const types = fn.params.map(({ type }) => type);
  return {
    name: fn.name,
    id,
    signature: signatureOf(fn),
    takes: (given) => (given.length === types.length ? types : undefined),
    columns: () => fn.columns,
    rows: (args) => {
      const { sandbox, main } = sandboxOf(fn);
      const { vm } = sandbox;
      const result = sandbox.call(
        main,
        args.map((arg: Datum, i) => toJs(sandbox, arg, types[i])),
      );
      const isArray = vm.typeof(result) === 'object' && !vm.eq(result, vm.null);
      const length = isArray ? vm.getProp(result, 'length').consume((prop) => vm.dump(prop) as unknown) : undefined;
      if (typeof length !== 'number') throw new StreamError('VALUE_FUNCTION', `${fn.name} gave no array of rows`);
      const out: Datum[][] = fn.columns.map(() => []);
      for (let i = 0; i < length; i++) {
        const row = vm.getProp(result, i);
        const isObject = vm.typeof(row) === 'object' && !vm.eq(row, vm.null);
        fn.columns.forEach(({ name, type }, c) => {
          if (!isObject) {
            if (fn.columns.length > 1)
              throw new StreamError('VALUE_FUNCTION', `${fn.name} gave a row that is no array or object`);
            out[c].push(fromJs(sandbox, row.dup(), type));
            return;
          }
          const has = vm.getProp(row, 'length').consume((prop) => vm.typeof(prop) === 'number');
          out[c].push(fromJs(sandbox, vm.getProp(row, has ? c : name), type));
        });
        row.dispose();
      }
      result.dispose();
      return out;
    },
    doc: 'in JavaScript',
  };
}
