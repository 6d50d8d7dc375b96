import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { TableFunction } from '../table-functions.ts';
import { signatureOf, type UserFunction } from './user-function.ts';
import { Arguments, aligned, DESCRIPTOR_BYTES, valuesOf, WIDTHS } from './wasm-columns.ts';
import { WasmInstance } from './wasm-instance.ts';
import { columnOf } from './wasm-module.ts';

/** Rows that one call may make. */
const MAX_ROWS = 1_000_000;

/** A table function in WebAssembly: called for one row of arguments, it says where the columns of its rows are. */
export class WasmTable {
  readonly #fn: UserFunction;
  readonly #params: readonly SqlType[];
  readonly #instance: WasmInstance;

  constructor(fn: UserFunction) {
    this.#fn = fn;
    this.#params = fn.params.map(({ type }) => type);
    this.#instance = new WasmInstance(fn, { [fn.name]: '(arguments i32, result i32) → i32' });
  }

  /** SQL_BIND, SQL_LIMIT, SQL_UNSUPPORTED: whether the module compiles, starts and exports what it must. */
  check(): void {
    this.#instance.has(this.#fn.name);
  }

  /** VALUE_FUNCTION. No argument is null. */
  rows(args: readonly Datum[]): Datum[][] {
    const { name, columns } = this.#fn;
    return this.#instance.run(() => {
      const given = new Arguments(
        args.map((arg, i) => columnOf(arg, this.#params[i])),
        this.#params,
        0,
        1,
      );
      const resultBytes = 4 + columns.length * DESCRIPTOR_BYTES;
      const head = aligned(args.length * DESCRIPTOR_BYTES + resultBytes);
      const base = this.#instance.room(head + given.bytes);
      const result = base + args.length * DESCRIPTOR_BYTES;
      given.write(this.#instance.buffer, base, base + head);
      new Uint8Array(this.#instance.buffer, result, resultBytes).fill(0);
      this.#instance.call(name, base, result);
      const view = new DataView(this.#instance.buffer);
      const rows = view.getUint32(result, true);
      if (rows > MAX_ROWS) throw this.#instance.failed(`gave more than ${MAX_ROWS} rows`);
      return columns.map(({ type }, i) => this.#column(result + 4 + i * DESCRIPTOR_BYTES, rows, type));
    });
  }

  #column(descriptor: number, rows: number, type: SqlType): Datum[] {
    const { buffer } = this.#instance;
    const view = new DataView(buffer);
    const [at, nullsAt] = [view.getUint32(descriptor, true), view.getUint32(descriptor + 4, true)];
    const bytes = (type.kind === 'varchar' ? rows + 1 : rows) * WIDTHS[type.kind];
    if (at % 8 !== 0 || at + bytes > buffer.byteLength || nullsAt + rows > buffer.byteLength)
      throw this.#instance.failed('gave a column outside its memory, or not at a multiple of eight');
    const nulls =
      nullsAt === 0 ? new Uint8Array(rows) : new Uint8Array(buffer, nullsAt, rows).map((b) => Number(b !== 0));
    const values = valuesOf(this.#fn.name, buffer, rows, at, nulls, descriptor + 8, type);
    return Array.from(values as ArrayLike<Datum>, (value, i) =>
      nulls[i] === 1 ? null : type.kind === 'boolean' ? value === 1 : value,
    );
  }
}

export function wasmTable(fn: UserFunction, id: string, tableOf: (fn: UserFunction) => WasmTable): TableFunction {
  const types = fn.params.map(({ type }) => type);
  return {
    name: fn.name,
    id,
    signature: signatureOf(fn),
    takes: (given) => (given.length === types.length ? types : undefined),
    columns: () => fn.columns,
    rows: (args) => tableOf(fn).rows(args),
    doc: 'in WebAssembly',
  };
}
