import type {
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSSyncVariant,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core';
import { StreamError } from '../../../src/lib/errors.ts';

/**
 * How often one call may be asked whether it should stop, which the interpreter does every 10 000 turns of loops and calls of functions; about a
 * tenth of a second. Counted rather than timed, so that an answer does not depend on what else the machine does.
 */
const MAX_POLLS = 200;
/** What one function may hold, in pages of 64 KiB: the interpreter's own limit does not see how large its blocks are. */
const MEMORY_PAGES = { initial: 256, maximum: 512 };
const STACK_BYTES = 256 << 10;

/** An interpreter with a memory of its own. */
export async function loadInterpreter(): Promise<QuickJSWASMModule> {
  const [{ newQuickJSWASMModuleFromVariant, newVariant }, { default: variant }] = await Promise.all([
    import('quickjs-emscripten-core'),
    import('@jitl/quickjs-wasmfile-release-sync'),
  ]);
  const wasmMemory = new WebAssembly.Memory(MEMORY_PAGES);
  return newQuickJSWASMModuleFromVariant(newVariant(variant as unknown as QuickJSSyncVariant, { wasmMemory }));
}

/**
 * One user function's JavaScript in an interpreter of its own (QuickJS in WebAssembly): no process, files, network or clock to set, a bound on memory, and
 * on the work of each call. After a call that ran over a bound the interpreter is made anew, so that the next begins clean.
 */
export class Sandbox {
  readonly #quickjs: QuickJSWASMModule;
  readonly #name: string;
  readonly #source: string;
  #runtime: QuickJSRuntime | null = null;
  #vm: QuickJSContext | null = null;
  #polls = 0;
  readonly #exports = new Map<string, QuickJSHandle>();
  #helpers: Readonly<Record<'bytes' | 'parse' | 'plain', QuickJSHandle>> | null = null;

  /** `source` is a program whose functions are called by name. */
  constructor(quickjs: QuickJSWASMModule, name: string, source: string) {
    this.#quickjs = quickjs;
    this.#name = name;
    this.#source = source;
  }

  /** VALUE_FUNCTION when the code does not compile, has no such function, throws, or takes too much. */
  call(fn: string, args: readonly QuickJSHandle[]): QuickJSHandle {
    const vm = this.vm;
    const target = this.#export(fn);
    this.#polls = 0;
    const result = vm.callFunction(target, vm.undefined, ...args);
    for (const arg of args) if (arg.alive) arg.dispose();
    if (result.error) throw this.#failed(result.error);
    return result.value;
  }

  has(fn: string): boolean {
    const probe = this.#evaluate(`typeof ${fn} === 'function'`);
    const found = this.vm.dump(probe) === true;
    probe.dispose();
    return found;
  }

  get vm(): QuickJSContext {
    if (this.#vm === null) this.#start();
    return this.#vm as QuickJSContext;
  }

  #start(): void {
    this.#runtime = this.#quickjs.newRuntime();
    this.#runtime.setMaxStackSize(STACK_BYTES);
    this.#runtime.setInterruptHandler(() => ++this.#polls > MAX_POLLS);
    this.#vm = this.#runtime.newContext();
    this.#evaluate(this.#source).dispose();
    this.#helpers = {
      bytes: this.#evaluate('(function (buffer) { return new Uint8Array(buffer) })'),
      parse: this.#evaluate('JSON.parse'),
      plain: this.#evaluate(
        `(function plain(v) {
          if (v === undefined || v === null) return null;
          if (v instanceof Date) return v.toISOString();
          if (v instanceof Uint8Array) return v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength);
          return v;
        })`,
      ),
    };
  }

  #evaluate(text: string): QuickJSHandle {
    const vm = this.vm;
    this.#polls = 0;
    const result = vm.evalCode(text, `${this.#name}.js`);
    if (result.error) throw this.#failed(result.error);
    return result.value;
  }

  #export(name: string): QuickJSHandle {
    let handle = this.#exports.get(name);
    if (handle === undefined) {
      handle = this.#evaluate(name);
      this.#exports.set(name, handle);
    }
    return handle;
  }

  /** A JSON text as a value. */
  parse(text: string): QuickJSHandle {
    return this.#help('parse', this.vm.newString(text));
  }

  bytes(bytes: Uint8Array): QuickJSHandle {
    const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    return this.#help('bytes', this.vm.newArrayBuffer(copy));
  }

  /** What came out, as a value that `dump` understands: null for undefined, texts for dates, buffers for bytes. Takes the handle over. */
  plain(handle: QuickJSHandle): QuickJSHandle {
    return this.#help('plain', handle);
  }

  #help(name: 'bytes' | 'parse' | 'plain', arg: QuickJSHandle): QuickJSHandle {
    const vm = this.vm;
    const result = vm.callFunction(this.#helpers![name], vm.undefined, arg);
    arg.dispose();
    if (result.error) throw this.#failed(result.error);
    return result.value;
  }

  #failed(error: QuickJSHandle): StreamError {
    const thrown: unknown = this.#vm!.dump(error);
    error.dispose();
    const isLate = this.#polls > MAX_POLLS;
    const { name = '', message = String(thrown) } =
      typeof thrown === 'object' && thrown !== null ? (thrown as { name?: string; message?: string }) : {};
    // Without memory for an error, null is thrown.
    const isFull = thrown === null || (name === 'InternalError' && message === 'out of memory');
    if (isLate || isFull) this.#forget();
    if (isFull)
      return new StreamError('VALUE_FUNCTION', `${this.#name} took more than ${MEMORY_PAGES.maximum / 16} MiB`);
    const reason = isLate
      ? 'ran too long: more than two million turns of loops and calls'
      : `threw ${name === '' ? '' : `${name}: `}${message}`;
    return new StreamError('VALUE_FUNCTION', `${this.#name} ${reason}`);
  }

  #forget(): void {
    for (const handle of [...this.#exports.values(), ...Object.values(this.#helpers ?? {})]) handle.dispose();
    this.#vm?.dispose();
    this.#runtime?.dispose();
    this.#vm = null;
    this.#runtime = null;
    this.#helpers = null;
    this.#exports.clear();
  }
}
