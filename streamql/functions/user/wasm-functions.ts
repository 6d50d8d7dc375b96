import { assert } from '../../../src/lib/assert.ts';
import type { SqlType } from '../../../src/values/types.ts';
import type { AggregateFunction } from '../aggregate-table.ts';
import type { ScalarFunction } from '../function-table.ts';
import type { TableFunction } from '../table-functions.ts';
import { checkRetract } from './retract-check.ts';
import { signatureOf, type UserFunction, userFunctionId } from './user-function.ts';
import { canRetract, WasmAggregate, wasmAggregate } from './wasm-aggregate.ts';
import { WasmModule } from './wasm-module.ts';
import { WasmTable, wasmTable } from './wasm-table.ts';

const KINDS = { scalar: WasmModule, aggregate: WasmAggregate, table: WasmTable };
type Kind = keyof typeof KINDS;

/** By definition: one instance for a function in each thread. */
const modules = new Map<string, InstanceType<(typeof KINDS)[Kind]>>();

export function prepareWasm(fn: UserFunction): void {
  const id = userFunctionId(fn);
  if (!modules.has(id)) modules.set(id, new KINDS[fn.kind](fn));
}

export function releaseWasm(fn: UserFunction): void {
  modules.delete(userFunctionId(fn));
}

/** What CREATE refuses: SQL_BIND, SQL_LIMIT, SQL_UNSUPPORTED, VALUE_FUNCTION. */
export function checkWasm(fn: UserFunction): void {
  prepared(fn, fn.kind).check();
  if (fn.kind === 'aggregate' && canRetract(fn)) checkRetract(fn, prepared(fn, 'aggregate'));
}

function prepared<K extends Kind>(fn: UserFunction, kind: K): InstanceType<(typeof KINDS)[K]> {
  const found = modules.get(userFunctionId(fn));
  assert(found instanceof KINDS[kind], `the module of ${fn.name} was not prepared in this thread`);
  return found as InstanceType<(typeof KINDS)[K]>;
}

export function wasmScalar(fn: UserFunction, id: string): ScalarFunction {
  const types = fn.params.map(({ type }) => type);
  return {
    name: fn.name,
    id,
    args: types.map(({ kind }) => kind),
    returns: () => fn.returns as SqlType,
    together: (given) => (given.length === types.length ? types : undefined),
    call: (args) => prepared(fn, 'scalar').call(args),
    batch: (columns, length) => prepared(fn, 'scalar').batch(columns, length),
    own: true,
    doc: `${signatureOf(fn)}, in WebAssembly`,
  };
}

export const wasmAggregateRow = (fn: UserFunction): AggregateFunction =>
  wasmAggregate(fn, (of) => prepared(of, 'aggregate'));

export const wasmTableRow = (fn: UserFunction, id: string): TableFunction =>
  wasmTable(fn, id, (of) => prepared(of, 'table'));
