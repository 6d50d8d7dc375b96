import { StreamError } from '../../../src/lib/errors.ts';
import { allocate, type Column, PlainColumn } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { UserFunction } from './user-function.ts';
import { Arguments, aligned, DESCRIPTOR_BYTES, type Part, readResult, WIDTHS } from './wasm-columns.ts';
import { WasmInstance } from './wasm-instance.ts';

/** A scalar function in WebAssembly. */
export class WasmModule {
  readonly #name: string;
  readonly #params: readonly SqlType[];
  readonly #returns: SqlType;
  readonly #instance: WasmInstance;

  constructor(fn: UserFunction) {
    this.#name = fn.name;
    this.#params = fn.params.map(({ type }) => type);
    this.#returns = fn.returns as SqlType;
    this.#instance = new WasmInstance(fn, { [fn.name]: '(rows i32, arguments i32, result i32) → i32' });
  }

  /** VALUE_FUNCTION when it gives none. No argument is null. */
  call(args: readonly Datum[]): Datum {
    const columns = args.map((arg, i) => columnOf(arg, this.#params[i]));
    const { values, nulls } = this.#run(columns, 0, 1);
    return nulls !== null && nulls[0] === 1 ? null : this.#returns.kind === 'boolean' ? values[0] === 1 : values[0];
  }

  /** For all rows, of which no argument is null; null when some row has no value. */
  batch(args: readonly Column[], length: number): Column | null {
    const parts: Part[] = [];
    // What is too much for one call is cut in halves, down to single rows.
    const visit = (from: number, to: number): boolean => {
      try {
        parts.push(this.#run(args, from, to));
        return true;
      } catch (thrown) {
        if (!(thrown instanceof StreamError) || thrown.code !== 'VALUE_FUNCTION') throw thrown;
        if (to - from === 1) return false;
      }
      const middle = from + ((to - from) >> 1);
      return visit(from, middle) && visit(middle, to);
    };
    if (length > 0 && !visit(0, length)) return null;
    return joined(parts, this.#returns, length);
  }

  /** CREATE's look (SQL_BIND, SQL_LIMIT, SQL_UNSUPPORTED, VALUE_FUNCTION) at what the module exports, whether it starts and takes a call for no rows. */
  check(): void {
    this.#run(
      this.#params.map((type) => new PlainColumn(type, 0, [], null)),
      0,
      0,
    );
  }

  #run(args: readonly Column[], from: number, to: number): Part {
    return this.#instance.run(() => {
      const rows = to - from;
      const given = new Arguments(args, this.#params, from, to);
      const resultBytes = aligned((rows + 1) * WIDTHS[this.#returns.kind]);
      const head = aligned((args.length + 1) * DESCRIPTOR_BYTES);
      const base = this.#instance.room(head + given.bytes + resultBytes + aligned(rows));
      const { buffer } = this.#instance;
      given.write(buffer, base, base + head);
      const at = base + head + given.bytes;
      const result = base + args.length * DESCRIPTOR_BYTES;
      const view = new DataView(buffer);
      view.setUint32(result, at, true);
      view.setUint32(result + 4, at + resultBytes, true);
      view.setUint32(result + 8, 0, true);
      new Uint8Array(buffer, at, resultBytes + aligned(rows)).fill(0);
      this.#instance.call(this.#name, rows, base, result);
      return readResult(this.#name, this.#instance.buffer, rows, at, at + resultBytes, result + 8, this.#returns);
    });
  }
}

/** One value, not NULL, as a column. */
export function columnOf(datum: Datum, type: SqlType): Column {
  return new PlainColumn(type, 1, [type.kind === 'boolean' ? (datum === true ? 1 : 0) : datum], null);
}

function joined(parts: readonly Part[], type: SqlType, length: number): Column {
  if (parts.length === 1) return new PlainColumn(type, length, parts[0].values, parts[0].nulls);
  const plain = parts.some(({ values }) => Array.isArray(values));
  const values = plain ? parts.flatMap((part) => Array.from(part.values as ArrayLike<Datum>)) : allocate(type, length);
  const nulls = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    if (!plain) (values as Float64Array).set(part.values as Float64Array, at);
    if (part.nulls !== null) nulls.set(part.nulls, at);
    at += part.rows;
  }
  return new PlainColumn(type, length, values, nulls.includes(1) ? nulls : null);
}
