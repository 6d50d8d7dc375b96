import { StreamError } from '../../../src/lib/errors.ts';
import type { UserFunction } from './user-function.ts';
import { aligned } from './wasm-columns.ts';
import { FUEL, withFuel } from './wasm-fuel.ts';

/** Instructions that one call may run, about 10 ms. The same for a batch as for a row, so that a row's answer does not depend on its company. */
const CALL_FUEL = 4_000_000;
const MAX_MODULE_BYTES = 64 * 1024;

/** A function that a module exports: `(rows i32, …) → i32`. One that may be absent begins with `?`. */
export type Signatures = Readonly<Record<string, string>>;
export type Exported = (...args: number[]) => number;

const ALLOC = { alloc: '(bytes i32) → i32', reset: '?()' };

interface Running {
  readonly memory: WebAssembly.Memory;
  readonly functions: Readonly<Record<string, Exported>>;
  readonly fuel: WebAssembly.Global;
}

/**
 * The module of one user function in this thread, with its instance. Nothing is imported, memory and the work of a call are bounded (wasm-fuel.ts). After a
 * call that failed the instance is made anew, so that the next begins clean.
 */
export class WasmInstance {
  readonly #fn: UserFunction;
  readonly #signatures: Signatures;
  /** Compiled when it is first needed: a module that this machine does not take stops what calls it and not the start. */
  #module: WebAssembly.Module | null = null;
  #running: Running | null = null;
  /** What `alloc` gave, kept from call to call where the module has no `reset`. */
  #block = { at: 0, bytes: 0 };
  /** Set when the last call had nothing left to run with. */
  #isOut = false;

  /** `signatures`: of what the module exports beside `memory`, `alloc` and `reset`. */
  constructor(fn: UserFunction, signatures: Signatures) {
    this.#fn = fn;
    this.#signatures = { ...ALLOC, ...signatures };
  }

  get buffer(): ArrayBuffer {
    return this.#started().memory.buffer;
  }

  has(name: string): boolean {
    return this.#started().functions[name] !== undefined;
  }

  /** VALUE_FUNCTION when it gives a status other than 0. */
  call(name: string, ...args: number[]): void {
    const status = this.#started().functions[name](...args);
    if (status !== 0) throw this.failed(`gave the status ${status}`);
  }

  /** What it gives. */
  ask(name: string, ...args: number[]): number {
    return this.#started().functions[name](...args);
  }

  /** One call, from the room for its arguments to the reading of its result. VALUE_FUNCTION when it takes too much, traps, or gives no value. */
  run<T>(work: () => T): T {
    try {
      const { fuel } = this.#started();
      fuel.value = BigInt(CALL_FUEL);
      this.#isOut = false;
      try {
        return work();
      } finally {
        this.#isOut = (fuel.value as bigint) < 0n;
      }
    } catch (thrown) {
      this.#running = null;
      if (thrown instanceof StreamError) throw thrown;
      // A trap, a stack that is full, or parameters and results of other types. Anything else is ours.
      const its = [WebAssembly.RuntimeError, RangeError, TypeError].some((kind) => thrown instanceof kind);
      if (!its) throw thrown;
      throw this.failed(
        this.#isOut ? `ran too long: more than ${CALL_FUEL} instructions` : `trapped: ${(thrown as Error).message}`,
      );
    }
  }

  failed(how: string): StreamError {
    return new StreamError('VALUE_FUNCTION', `${this.#fn.name} ${how}`);
  }

  /** A block of so many bytes at a multiple of eight. */
  room(bytes: number): number {
    const { functions } = this.#started();
    functions['reset']?.();
    if (functions['reset'] !== undefined || this.#block.bytes < bytes) {
      const at = functions['alloc'](bytes + 8) >>> 0;
      this.#block = { at: aligned(at), bytes };
    }
    const { at } = this.#block;
    if (at > 0 && at + bytes <= this.buffer.byteLength) return at;
    this.#block = { at: 0, bytes: 0 };
    throw new StreamError('VALUE_FUNCTION', `${this.#fn.name}: alloc(${bytes + 8}) gave no room in its memory`);
  }

  #started(): Running {
    if (this.#running !== null) return this.#running;
    this.#block = { at: 0, bytes: 0 };
    this.#module ??= moduleOf(this.#fn);
    const { exports } = new WebAssembly.Instance(this.#module, {});
    const { memory, [FUEL]: fuel } = exports;
    if (!(memory instanceof WebAssembly.Memory)) throw this.#lacks('a memory "memory"');
    const functions: Record<string, Exported> = {};
    for (const [name, signature] of Object.entries(this.#signatures)) {
      const found = exports[name];
      if (found === undefined && signature.startsWith('?')) continue;
      const inside = signature.slice(signature.indexOf('(') + 1, signature.indexOf(')'));
      const takes = inside === '' ? 0 : inside.split(',').length;
      if (typeof found !== 'function' || found.length !== takes)
        throw this.#lacks(`${name}${signature.replace('?', '')}`);
      functions[name] = found as Exported;
    }
    this.#running = { memory, functions, fuel: fuel as WebAssembly.Global };
    return this.#running;
  }

  #lacks(what: string): StreamError {
    const needed = Object.entries(this.#signatures).filter(([, signature]) => !signature.startsWith('?'));
    return new StreamError('SQL_BIND', `the module of "${this.#fn.name}" does not export ${what}`, {
      hint: `export memory, ${needed.map((pair) => pair.join('')).join(', ')}`,
    });
  }
}

/** SQL_BIND, SQL_LIMIT or SQL_UNSUPPORTED. */
function moduleOf(fn: UserFunction): WebAssembly.Module {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(fn.source.replace(/\s+/g, ''))) {
    throw new StreamError('SQL_BIND', `the module of "${fn.name}" is not base64`, {
      hint: "write LANGUAGE wasm AS '<the module in base64>'",
    });
  }
  const bytes = moduleBytes(fn);
  if (bytes.length > MAX_MODULE_BYTES) {
    throw new StreamError('SQL_LIMIT', `the module has more than ${MAX_MODULE_BYTES} bytes`, {
      hint: 'build it for size and strip it',
    });
  }
  // Before it is looked at: what reads it then relies on its being well formed.
  if (!WebAssembly.validate(bytes))
    throw new StreamError('SQL_BIND', `the code of "${fn.name}" is no valid WebAssembly module`, {
      hint: 'write the bytes of the .wasm file in base64; SIMD, threads and exceptions have to be switched off',
    });
  const counted = withFuel(bytes, CALL_FUEL);
  try {
    return new WebAssembly.Module(counted);
  } catch (thrown) {
    throw new StreamError('SQL_BIND', `the module of "${fn.name}" does not compile: ${(thrown as Error).message}`, {
      hint: 'docs/reference/udf.md says what a module has to export',
    });
  }
}

export const moduleBytes = (fn: UserFunction): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(fn.source.replace(/\s+/g, ''), 'base64'));
