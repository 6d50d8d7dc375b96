import { StreamError } from '../../../src/lib/errors.ts';
import type { Column } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { AggregateFunction, AggregateSteps, StateChanges } from '../aggregate-table.ts';
import { changesOf } from './state-changes.ts';
import { signatureOf, type UserFunction } from './user-function.ts';
import { ModuleReader } from './wasm-bytes.ts';
import { Arguments, aligned, DESCRIPTOR_BYTES, readResult, WIDTHS } from './wasm-columns.ts';
import { exportNames } from './wasm-fuel.ts';
import { moduleBytes, WasmInstance } from './wasm-instance.ts';

/** Longest state: it is written with each change of its group. */
const MAX_STATE_BYTES = 64 * 1024;
/** Rows, and bytes of states, that one call sees at most. */
const CALL_ROWS = 8192;
const CALL_STATE_BYTES = 1 << 20;
/** Begins the text of every state, so that none is taken for something else. */
const MARK = '='.charCodeAt(0);

const STEP = '(rows i32, arguments i32, states i32) → i32';

/** Whether rows can be taken back; from the module's bytes, so that plans know it where no code runs. */
export const canRetract = (fn: UserFunction): boolean => exportNames(new ModuleReader(moduleBytes(fn))).has('retract');

/**
 * An aggregate in WebAssembly. A state is a block of `state_bytes()` bytes, zeros at first; what engine and checkpoints hold of it is a text with a
 * character for each byte. A step takes a batch of rows with the place of each row's state.
 */
export class WasmAggregate implements AggregateSteps {
  readonly #params: readonly SqlType[];
  readonly #returns: SqlType;
  readonly #name: string;
  readonly #instance: WasmInstance;
  readonly #canRetract: boolean;
  #stateBytes = 0;

  constructor(fn: UserFunction) {
    this.#name = fn.name;
    this.#params = fn.params.map(({ type }) => type);
    this.#returns = fn.returns as SqlType;
    this.#canRetract = canRetractOf(fn);
    this.#instance = new WasmInstance(fn, {
      state_bytes: '() → i32',
      accumulate: STEP,
      retract: `?${STEP}`,
      finish: '(groups i32, states i32, result i32) → i32',
    });
  }

  /** SQL_BIND, SQL_LIMIT, SQL_UNSUPPORTED, VALUE_FUNCTION: what the module exports, and whether it has a result for no rows. */
  check(): void {
    if (this.#canRetract !== this.#instance.has('retract'))
      throw new StreamError('SQL_BIND', `retract of "${this.#name}" is exported, but is no function`);
    this.finish(null);
  }

  advance(before: readonly (string | null)[], { args, rows, groups, times, count }: StateChanges) {
    const width = this.#width();
    const states = before.map((state) => Buffer.from(state ?? '', 'latin1'));
    const fresh = Buffer.alloc(width + 1);
    fresh[0] = MARK;
    states.forEach((state, g) => {
      if (state.length !== width + 1) states[g] = Buffer.from(fresh);
    });
    const failures = new Map<number, StreamError>();
    const callRows = Math.max(1, Math.min(CALL_ROWS, Math.floor(CALL_STATE_BYTES / width)));
    /** What comes goes before what goes, each row as often as it is there. */
    for (const sign of [1, -1]) {
      const step = sign > 0 ? 'accumulate' : 'retract';
      let some: number[] = [];
      const flush = (): void => {
        this.#halving(step, args, rows, groups, some, states, failures);
        some = [];
      };
      for (let k = 0; k < count; k++) {
        for (let left = times[k] * sign; left > 0; left--) {
          some.push(k);
          if (some.length === callRows) flush();
        }
      }
      if (some.length > 0) flush();
    }
    return states.map((state, g) => failures.get(g) ?? state.latin1Slice(0, width + 1));
  }

  finish(state: string | null): Datum {
    const width = this.#width();
    return this.#instance.run(() => {
      const resultBytes = aligned(2 * WIDTHS[this.#returns.kind]);
      const pointers = aligned(DESCRIPTOR_BYTES);
      const stateAt = pointers + 8;
      const values = stateAt + aligned(width);
      const base = this.#instance.room(values + resultBytes + 8);
      const { buffer } = this.#instance;
      const all = new Uint8Array(buffer, base, values + resultBytes + 8).fill(0);
      if (state !== null) all.set(Buffer.from(state, 'latin1').subarray(1, width + 1), stateAt);
      const view = new DataView(buffer);
      view.setUint32(base, base + values, true);
      view.setUint32(base + 4, base + values + resultBytes, true);
      view.setUint32(base + pointers, base + stateAt, true);
      this.#instance.call('finish', 1, base + pointers, base);
      const at = base + values;
      const part = readResult(this.#name, this.#instance.buffer, 1, at, at + resultBytes, base + 8, this.#returns);
      if (part.nulls !== null && part.nulls[0] === 1) return null;
      return this.#returns.kind === 'boolean' ? part.values[0] === 1 : part.values[0];
    });
  }

  #width(): number {
    if (this.#stateBytes > 0) return this.#stateBytes;
    const bytes = this.#instance.run(() => this.#instance.ask('state_bytes'));
    if (bytes < 1 || bytes > MAX_STATE_BYTES)
      throw this.#instance.failed(`has a state of ${bytes} bytes: 1 to ${MAX_STATE_BYTES} are allowed`);
    this.#stateBytes = bytes;
    return bytes;
  }

  /** Changes `some`, in one call or, where that fails, in halves; a row that fails alone is its group's failure. */
  #halving(
    step: 'accumulate' | 'retract',
    args: readonly Column[],
    rows: Int32Array,
    groups: Int32Array,
    some: readonly number[],
    states: readonly Buffer[],
    failures: Map<number, StreamError>,
  ): void {
    const left = failures.size === 0 ? some : some.filter((k) => !failures.has(groups[k]));
    if (left.length === 0) return;
    try {
      this.#step(step, args, rows, groups, left, states);
      return;
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || thrown.code !== 'VALUE_FUNCTION') throw thrown;
      if (left.length === 1) {
        failures.set(groups[left[0]], thrown);
        return;
      }
    }
    const middle = left.length >> 1;
    this.#halving(step, args, rows, groups, left.slice(0, middle), states, failures);
    this.#halving(step, args, rows, groups, left.slice(middle), states, failures);
  }

  /** The states are written when all went well. */
  #step(
    step: 'accumulate' | 'retract',
    args: readonly Column[],
    rows: Int32Array,
    groups: Int32Array,
    some: readonly number[],
    states: readonly Buffer[],
  ): void {
    const width = this.#width();
    const count = some.length;
    const picked = Int32Array.from(some, (k) => rows[k]);
    const places = new Map<number, number>();
    const stride = aligned(width);
    const pointers = new Uint32Array(count);
    this.#instance.run(() => {
      for (let i = 0; i < count; i++) {
        const group = groups[some[i]];
        let place = places.get(group);
        if (place === undefined) {
          place = places.size;
          places.set(group, place);
        }
        pointers[i] = place;
      }
      const columns = args.map((column) => column.gather(picked, count));
      const given = new Arguments(columns, this.#params, 0, count);
      const head = aligned(args.length * DESCRIPTOR_BYTES);
      const pointersAt = head + given.bytes;
      const statesAt = pointersAt + aligned(4 * count);
      const base = this.#instance.room(statesAt + places.size * stride);
      const { buffer } = this.#instance;
      given.write(buffer, base, base + head);
      const bytes = new Uint8Array(buffer, base + statesAt, places.size * stride);
      for (const [group, place] of places) bytes.set(states[group].subarray(1), place * stride);
      const out = new Uint32Array(buffer, base + pointersAt, count);
      for (let i = 0; i < count; i++) out[i] = base + statesAt + pointers[i] * stride;
      this.#instance.call(step, count, base, base + pointersAt);
      const after = new Uint8Array(this.#instance.buffer, base + statesAt, places.size * stride);
      for (const [group, place] of places) states[group].set(after.subarray(place * stride, place * stride + width), 1);
    });
  }
}

const canRetractOf = (fn: UserFunction): boolean => {
  try {
    return canRetract(fn);
  } catch (thrown) {
    // Not a module: whoever starts it says so.
    if (thrown instanceof StreamError) return false;
    throw thrown;
  }
};

export function wasmAggregate(fn: UserFunction, stepsOf: (fn: UserFunction) => AggregateSteps): AggregateFunction {
  const types = fn.params.map(({ type }) => type);
  const steps: AggregateSteps = {
    advance: (states, changes) => stepsOf(fn).advance(states, changes),
    finish: (state) => stepsOf(fn).finish(state),
  };
  return {
    name: fn.name,
    args: types.map(({ kind }) => kind),
    order: 'optional',
    returns: () => fn.returns as SqlType,
    finish: (rows) => {
      const all: [args: Datum[], times: number][] = [];
      rows.each((a, b, times) => {
        all.push([types.length === 1 ? [a] : [a, b], times]);
        return true;
      });
      const [state] = steps.advance([null], changesOf(all, types));
      if (state instanceof StreamError) throw state;
      return steps.finish(state);
    },
    ...(canRetract(fn) ? { steps } : {}),
    signature: signatureOf(fn),
    doc: 'in WebAssembly',
    example: ['', ''],
  };
}
