import { StreamError } from '../../../src/lib/errors.ts';
import { allocate, type Column, type ColumnValues, PlainColumn } from '../../../src/values/column.ts';
import { canonicalInteger, type Datum, type SqlType } from '../../../src/values/types.ts';
import type { UserFunction } from './user-function.ts';
import { FUEL, withFuel } from './wasm-fuel.ts';

/** Instructions that one call may run, about 10 ms. The same for a batch as for a row, so that a row's answer does not depend on its company. */
const CALL_FUEL = 4_000_000;
const MAX_MODULE_BYTES = 64 * 1024;
/** `values`, `nulls` and `data`, each the place of an array. */
const DESCRIPTOR_BYTES = 12;

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly alloc: (bytes: number) => number;
  readonly reset?: () => void;
  readonly [FUEL]: WebAssembly.Global;
  readonly main: (rows: number, args: number, result: number) => number;
}

/** Bytes of a value in memory, by kind; texts have an offset of 4. */
const WIDTHS: Readonly<Record<string, number>> = {
  boolean: 1,
  smallint: 4,
  integer: 4,
  bigint: 8,
  real: 8,
  double: 8,
  varchar: 4,
};

export const isWasmType = ({ kind }: SqlType): boolean => WIDTHS[kind] !== undefined;

/** Eight bytes further than it has to be at most, so that every array begins where its values may. */
const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/**
 * One user function in WebAssembly, with its instance. Nothing is imported, memory and the work of a call are bounded (wasm-fuel.ts). After a call that
 * trapped the instance is made anew, so that the next begins clean.
 */
export class WasmModule {
  readonly #fn: UserFunction;
  /** Compiled when it is first needed: a module that this machine does not take stops what calls it and not the start. */
  #module: WebAssembly.Module | null = null;
  readonly #params: readonly SqlType[];
  readonly #returns: SqlType;
  #exports: Exports | null = null;
  /** What `alloc` gave, kept from call to call where the module has no `reset`. */
  #block = { at: 0, bytes: 0 };

  constructor(fn: UserFunction) {
    this.#fn = fn;
    this.#params = fn.params.map(({ type }) => type);
    this.#returns = fn.returns as SqlType;
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
    try {
      return this.#call(args, from, to);
    } catch (thrown) {
      this.#exports = null;
      if (thrown instanceof StreamError) throw thrown;
      // A trap, a stack that is full, or parameters and results of other types. Anything else is ours.
      const its = [WebAssembly.RuntimeError, RangeError, TypeError].some((kind) => thrown instanceof kind);
      if (!its) throw thrown;
      throw new StreamError('VALUE_FUNCTION', `${this.#fn.name} ${this.#why(thrown)}`);
    }
  }

  #why(thrown: unknown): string {
    return this.#isOut ? `ran too long: more than ${CALL_FUEL} instructions` : `trapped: ${(thrown as Error).message}`;
  }

  /** Set when the last instance had nothing left to run with. */
  #isOut = false;

  #call(args: readonly Column[], from: number, to: number): Part {
    const exports = this.#instance();
    const rows = to - from;
    const fuel = exports[FUEL];
    fuel.value = BigInt(CALL_FUEL);
    this.#isOut = false;
    try {
      const texts = args.map((arg, i) => (this.#params[i].kind === 'varchar' ? textsOf(arg, from, to) : null));
      const sizes = this.#params.map((type, i) =>
        texts[i] === null
          ? aligned(rows * WIDTHS[type.kind])
          : aligned((rows + 1) * 4) + aligned(texts[i].bytes.length),
      );
      const resultBytes = aligned((rows + 1) * WIDTHS[this.#returns.kind]);
      const head = aligned((args.length + 1) * DESCRIPTOR_BYTES);
      const total = head + sizes.reduce((a, b) => a + b, 0) + resultBytes + aligned(rows);
      const base = this.#room(exports, total);
      const view = new DataView(exports.memory.buffer);
      let at = base + head;
      args.forEach((arg, i) => {
        const descriptor = base + i * DESCRIPTOR_BYTES;
        view.setUint32(descriptor, at, true);
        view.setUint32(descriptor + 4, 0, true);
        const text = texts[i];
        const data = text === null ? 0 : at + aligned((rows + 1) * 4);
        view.setUint32(descriptor + 8, data, true);
        if (text === null) writeValues(exports.memory.buffer, at, arg, from, to, this.#params[i]);
        else {
          new Uint32Array(exports.memory.buffer, at, rows + 1).set(text.offsets);
          new Uint8Array(exports.memory.buffer, data, text.bytes.length).set(text.bytes);
        }
        at += sizes[i];
      });
      const result = base + args.length * DESCRIPTOR_BYTES;
      view.setUint32(result, at, true);
      view.setUint32(result + 4, at + resultBytes, true);
      view.setUint32(result + 8, 0, true);
      new Uint8Array(exports.memory.buffer, at, resultBytes + aligned(rows)).fill(0);
      const status = exports.main(rows, base, result);
      if (status !== 0) throw new StreamError('VALUE_FUNCTION', `${this.#fn.name} gave the status ${status}`);
      return readResult(this.#fn.name, exports.memory.buffer, rows, at, at + resultBytes, result + 8, this.#returns);
    } finally {
      this.#isOut = (fuel.value as bigint) < 0n;
    }
  }

  /** A block of so many bytes at a multiple of eight. */
  #room(exports: Exports, bytes: number): number {
    exports.reset?.();
    if (exports.reset !== undefined || this.#block.bytes < bytes) {
      const at = exports.alloc(bytes + 8) >>> 0;
      this.#block = { at: aligned(at), bytes };
    }
    const { at } = this.#block;
    if (at > 0 && at + bytes <= exports.memory.buffer.byteLength) return at;
    this.#block = { at: 0, bytes: 0 };
    throw new StreamError('VALUE_FUNCTION', `${this.#fn.name}: alloc(${bytes + 8}) gave no room in its memory`);
  }

  #instance(): Exports {
    if (this.#exports !== null) return this.#exports;
    this.#block = { at: 0, bytes: 0 };
    const { name } = this.#fn;
    this.#module ??= moduleOf(this.#fn);
    const { exports } = new WebAssembly.Instance(this.#module, {});
    const { memory, alloc, reset, [name]: main, [FUEL]: fuel } = exports;
    const missing = !(memory instanceof WebAssembly.Memory)
      ? 'a memory "memory"'
      : typeof alloc !== 'function'
        ? 'a function "alloc"'
        : typeof main !== 'function'
          ? `a function "${name}"`
          : alloc.length !== 1
            ? 'alloc(bytes i32) → i32'
            : main.length !== 3
              ? `${name}(rows i32, arguments i32, result i32) → i32`
              : reset !== undefined && typeof reset !== 'function'
                ? 'reset as a function'
                : null;
    if (missing !== null) {
      throw new StreamError('SQL_BIND', `the module of "${name}" does not export ${missing}`, {
        hint: `export memory, alloc(bytes i32) → i32 and ${name}(rows i32, arguments i32, result i32) → i32`,
      });
    }
    this.#exports = { memory, alloc, main, ...(reset === undefined ? {} : { reset }), [FUEL]: fuel } as Exports;
    return this.#exports;
  }
}

function moduleOf(fn: UserFunction): WebAssembly.Module {
  const text = fn.source.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new StreamError('SQL_BIND', `the module of "${fn.name}" is not base64`, {
      hint: "write LANGUAGE wasm AS '<the module in base64>'",
    });
  }
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  if (bytes.length > MAX_MODULE_BYTES) {
    throw new StreamError('SQL_LIMIT', `the module has more than ${MAX_MODULE_BYTES} bytes`, {
      hint: 'build it for size and strip it',
    });
  }
  // Before it is looked at: what reads it then relies on its being well formed.
  if (!WebAssembly.validate(bytes))
    throw new StreamError('SQL_BIND', `the code of "${fn.name}" is no valid WebAssembly module`);
  const counted = withFuel(bytes, CALL_FUEL);
  try {
    return new WebAssembly.Module(counted);
  } catch (thrown) {
    throw new StreamError('SQL_BIND', `the module of "${fn.name}" does not compile: ${(thrown as Error).message}`);
  }
}

interface Part {
  readonly values: ColumnValues;
  readonly nulls: Uint8Array | null;
  readonly rows: number;
}

function columnOf(datum: Datum, type: SqlType): Column {
  return new PlainColumn(type, 1, [type.kind === 'boolean' ? (datum === true ? 1 : 0) : datum], null);
}

const encoder = new TextEncoder();

const wellFormed = (text: string): string => Buffer.from(text).toString();

function textsOf(column: Column, from: number, to: number): { offsets: Uint32Array; bytes: Uint8Array } {
  const offsets = new Uint32Array(to - from + 1);
  const all = (column.values as readonly string[]).slice(from, to);
  const bytes = encoder.encode(all.join(''));
  let at = 0;
  all.forEach((text, i) => {
    at += Buffer.byteLength(text);
    offsets[i + 1] = at;
  });
  // Halves of a pair that stand apart became one where texts meet: made good before.
  if (at !== bytes.length)
    return textsOf(new PlainColumn(column.type, all.length, all.map(wellFormed), null), 0, all.length);
  return { offsets, bytes };
}

function writeValues(
  buffer: ArrayBuffer,
  at: number,
  { values }: Column,
  from: number,
  to: number,
  type: SqlType,
): void {
  const rows = to - from;
  switch (type.kind) {
    case 'boolean': {
      const out = new Uint8Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] ? 1 : 0;
      return;
    }
    case 'bigint': {
      const out = new BigInt64Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = BigInt(values[from + i] as number | bigint);
      return;
    }
    case 'real':
    case 'double': {
      const out = new Float64Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] as number;
      return;
    }
    default: {
      const out = new Int32Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] as number;
    }
  }
}

/** `dataAt`: where the descriptor says where the texts' bytes are. */
function readResult(
  name: string,
  buffer: ArrayBuffer,
  rows: number,
  valuesAt: number,
  nullsAt: number,
  dataAt: number,
  type: SqlType,
): Part {
  // Copies: the memory is the module's.
  const nulls = new Uint8Array(buffer, nullsAt, rows).slice();
  let some = false;
  for (let i = 0; i < rows; i++) {
    nulls[i] = nulls[i] === 0 ? 0 : 1;
    some ||= nulls[i] === 1;
  }
  return { values: valuesOf(name, buffer, rows, valuesAt, nulls, dataAt, type), nulls: some ? nulls : null, rows };
}

function valuesOf(
  name: string,
  buffer: ArrayBuffer,
  rows: number,
  at: number,
  nulls: Uint8Array,
  dataAt: number,
  type: SqlType,
): ColumnValues {
  switch (type.kind) {
    case 'boolean':
      return new Uint8Array(buffer, at, rows).map((byte) => (byte === 0 ? 0 : 1));
    case 'bigint': {
      const given = new BigInt64Array(buffer, at, rows);
      const out: Datum[] = Array.from(given, (value, i) => (nulls[i] === 1 ? 0 : canonicalInteger(value)));
      return out.every((value) => typeof value === 'number') ? Float64Array.from(out as number[]) : out;
    }
    case 'real':
      return new Float64Array(buffer, at, rows).map((value) => Math.fround(value));
    case 'double':
      return new Float64Array(buffer, at, rows).slice();
    case 'varchar':
      return stringsOf(name, buffer, rows, at, nulls, dataAt);
    default: {
      const out = new Int32Array(buffer, at, rows).slice();
      const beyond =
        type.kind === 'smallint' ? out.find((value, i) => nulls[i] === 0 && value !== (value << 16) >> 16) : undefined;
      if (beyond === undefined) return out;
      throw new StreamError('VALUE_FUNCTION', `${name} gave ${beyond} for SMALLINT`);
    }
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function stringsOf(
  name: string,
  buffer: ArrayBuffer,
  rows: number,
  at: number,
  nulls: Uint8Array,
  dataAt: number,
): Datum[] {
  const offsets = new Uint32Array(buffer, at, rows + 1);
  const data = new DataView(buffer).getUint32(dataAt, true);
  const out: Datum[] = [];
  for (let i = 0; i < rows; i++) {
    if (nulls[i] === 1) {
      out.push(null);
      continue;
    }
    const [from, to] = [data + offsets[i], data + offsets[i + 1]];
    if (from > to || to > buffer.byteLength)
      throw new StreamError('VALUE_FUNCTION', `${name} gave a text outside its memory`);
    try {
      out.push(decoder.decode(new Uint8Array(buffer, from, to - from)));
    } catch {
      throw new StreamError('VALUE_FUNCTION', `${name} gave a text that is not UTF-8`);
    }
  }
  return out;
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
