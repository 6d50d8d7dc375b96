import { assert } from '../../../src/lib/assert.ts';
import type { SqlType } from '../../../src/values/types.ts';
import type { ScalarFunction } from '../function-table.ts';
import { signatureOf, type UserFunction, userFunctionId } from './user-function.ts';
import { WasmModule } from './wasm-module.ts';

/** By definition: one instance for a function in each thread. */
const modules = new Map<string, WasmModule>();

export function prepareWasm(fn: UserFunction): void {
  const id = userFunctionId(fn);
  if (!modules.has(id)) modules.set(id, new WasmModule(fn));
}

export function releaseWasm(fn: UserFunction): void {
  modules.delete(userFunctionId(fn));
}

export function wasmModule(fn: UserFunction): WasmModule {
  const found = modules.get(userFunctionId(fn));
  assert(found !== undefined, `the module of ${fn.name} was not prepared in this thread`);
  return found;
}

export function wasmScalar(fn: UserFunction, id: string): ScalarFunction {
  const types = fn.params.map(({ type }) => type);
  return {
    name: fn.name,
    id,
    args: types.map(({ kind }) => kind),
    returns: () => fn.returns as SqlType,
    together: (given) => (given.length === types.length ? types : undefined),
    call: (args) => wasmModule(fn).call(args),
    batch: (columns, length) => wasmModule(fn).batch(columns, length),
    own: true,
    doc: `${signatureOf(fn)}, in WebAssembly`,
  };
}
