import type { QuickJSHandle } from 'quickjs-emscripten-core';
import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { AggregateFunction } from '../aggregate-table.ts';
import type { ScalarFunction } from '../function-table.ts';
import type { TableFunction } from '../table-functions.ts';
import { fromJs, toJs } from './js-values.ts';
import { loadInterpreter, Sandbox } from './sandbox.ts';
import { signatureOf, type UserFunction } from './user-function.ts';

/** The name under which a bare body is called. */
const BODY = '$call';

/** By definition: one interpreter for a function in each thread. */
const sandboxes = new Map<string, Sandbox>();

/** A program that exports functions (`export function f(x) { … }`), or the body of one. */
function programOf(fn: UserFunction): { key: string; program: string; main: string } {
  const isProgram = /\bexport\s+function\b/.test(fn.source);
  const main = isProgram || fn.kind === 'aggregate' ? fn.name : BODY;
  const program =
    main === BODY
      ? `function ${BODY}(${fn.params.map(({ name }, i) => (name === '' ? `$${i + 1}` : name)).join(', ')}) {\n${fn.source}\n}`
      : fn.source.replace(/\bexport\s+(?=function\b)/g, '');
  const quick = quickCall(fn, main);
  return { key: JSON.stringify([fn.name, program, quick]), program: `${program}\n${quick}`, main };
}

/** The name of a function beside the user's own that spares crossings of the border; see `quickCall`. */
const QUICK = '$quick';

/** How a result that is a number without more ado is told, by kind of the declared type. */
const NUMBERS: Readonly<Record<string, string>> = {
  smallint: "typeof r === 'number' && r === r ? r",
  integer: "typeof r === 'number' && r === r ? r",
  double: "typeof r === 'number' && r === r ? r",
  bigint: "typeof r === 'bigint' && r >= -9007199254740991n && r <= 9007199254740991n ? Number(r)",
};

/**
 * For scalar functions that give numbers: takes a BIGINT as a number where one holds it and gives it so, and puts all else in a box `{ v }`, which is not a
 * number. Asking what type a value has, and making bigints, each takes as long as a call.
 */
function quickCall(fn: UserFunction, main: string): string {
  const number = fn.kind === 'scalar' && fn.returns !== null ? NUMBERS[fn.returns.kind] : undefined;
  if (number === undefined) return '';
  const names = fn.params.map((_, i) => `a${i}`);
  const args = names.map((name, i) =>
    fn.params[i].type.kind === 'bigint' ? `typeof ${name} === 'number' ? BigInt(${name}) : ${name}` : name,
  );
  return `function ${QUICK}(${names.join(', ')}) { const r = ${main}(${args.join(', ')}); return ${number} : { v: r } }`;
}

/** Before plans that call these functions are built, or bound, in this thread. */
export async function prepareUserCode(functions: readonly UserFunction[]): Promise<void> {
  for (const fn of functions) {
    if (fn.language !== 'js') continue;
    const { key, program } = programOf(fn);
    if (!sandboxes.has(key)) sandboxes.set(key, new Sandbox(await loadInterpreter(), fn.name, program));
  }
}

/** When nothing in this thread calls it any more. */
export function releaseUserCode(fn: UserFunction): void {
  sandboxes.delete(programOf(fn).key);
}

function sandboxOf(fn: UserFunction): { sandbox: Sandbox; main: string } {
  const { key, main } = programOf(fn);
  const sandbox = sandboxes.get(key);
  assert(sandbox !== undefined, `the code of ${fn.name} was not prepared in this thread`);
  return { sandbox, main };
}

/** What CREATE refuses: code that does not compile or lacks what it must export. */
export function checkJs(fn: UserFunction): void {
  const { sandbox, main } = sandboxOf(fn);
  const needed = fn.kind === 'aggregate' ? ['create_state', 'accumulate'] : [main];
  for (const name of needed) {
    if (sandbox.has(name)) continue;
    throw new StreamError('SQL_BIND', `the code of "${fn.name}" exports no function ${name}`, {
      hint: `write: export function ${name}(…) { … }`,
    });
  }
  if (fn.kind !== 'aggregate') return;
  for (const name of ['retract', 'merge']) {
    if (!sandbox.has(name)) continue;
    throw new StreamError('SQL_UNSUPPORTED', `${name} of an aggregate is not called`, {
      hint: 'leave it out: a group that changes is computed from its rows',
    });
  }
}

/** Types whose datums are numbers in JavaScript too, and BIGINTs that a number holds. */
const PASSED_AS_NUMBERS = new Set(['smallint', 'integer', 'bigint', 'real', 'double']);

const toNumber = (sandbox: Sandbox, value: number, type: SqlType): QuickJSHandle =>
  PASSED_AS_NUMBERS.has(type.kind) ? sandbox.vm.newNumber(value) : toJs(sandbox, value, type);

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
      const handles = args.map((arg: Datum, i) =>
        typeof arg === 'number' ? toNumber(sandbox, arg, types[i]) : toJs(sandbox, arg, types[i]),
      );
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

export function jsAggregate(fn: UserFunction): AggregateFunction {
  const types = fn.params.map(({ type }) => type);
  const returns = fn.returns as SqlType;
  return {
    name: fn.name,
    args: types.map(({ kind }) => kind),
    order: 'optional',
    returns: () => returns,
    finish: (rows) => {
      const { sandbox } = sandboxOf(fn);
      let state = sandbox.call('create_state', []);
      rows.each((a, b, times) => {
        for (let i = 0; i < times; i++) {
          const args = [a, b].slice(0, types.length).map((arg, n) => toJs(sandbox, arg, types[n]));
          const next = sandbox.call('accumulate', [state.dup(), ...args]);
          // A state that is changed in place need not be returned.
          if (sandbox.vm.typeof(next) === 'undefined') next.dispose();
          else {
            state.dispose();
            state = next;
          }
        }
        return true;
      });
      return fromJs(sandbox, sandbox.has('finish') ? sandbox.call('finish', [state]) : state, returns);
    },
    signature: signatureOf(fn),
    doc: 'in JavaScript',
    example: ['', ''],
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
