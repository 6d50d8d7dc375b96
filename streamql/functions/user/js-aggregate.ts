import { StreamError } from '../../../src/lib/errors.ts';
import type { SqlType } from '../../../src/values/types.ts';
import type { AggregateFunction, AggregateSteps } from '../aggregate-table.ts';
import { exportsFunction, sandboxOf } from './js-program.ts';
import { fromJs, toJs, toQuick } from './js-values.ts';
import type { Sandbox } from './sandbox.ts';
import { signatureOf, type UserFunction } from './user-function.ts';

/** Longest text of a state that is kept: it is written with each change of its group. */
const MAX_STATE_CHARS = 64 * 1024;

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
    ...(exportsFunction(fn, 'retract') ? { steps: jsSteps(fn) } : {}),
    signature: signatureOf(fn),
    doc: 'in JavaScript',
    example: ['', ''],
  };
}

/** Of an aggregate with `retract`. */
export function jsSteps(fn: UserFunction): AggregateSteps {
  const types = fn.params.map(({ type }) => type);
  const returns = fn.returns as SqlType;
  const loaded = (state: string | null): Sandbox => {
    const { sandbox } = sandboxOf(fn);
    sandbox.call('$load', [state === null ? sandbox.vm.null : sandbox.vm.newString(state)]).dispose();
    return sandbox;
  };
  return {
    advance(state, each) {
      const sandbox = loaded(state);
      each((a, b, times) => {
        const step = times > 0 ? '$accumulate' : '$retract';
        for (let left = Math.abs(times); left > 0; left--) {
          const first = toQuick(sandbox, a, types[0]);
          sandbox.call(step, types.length === 1 ? [first] : [first, toQuick(sandbox, b, types[1])]).dispose();
        }
      });
      const text = sandbox.call('$save', []).consume((handle) => sandbox.vm.getString(handle));
      if (text.length <= MAX_STATE_CHARS) return text;
      throw new StreamError('VALUE_FUNCTION', `${fn.name} has a state of more than ${MAX_STATE_CHARS} characters`);
    },
    finish(state) {
      const sandbox = loaded(state);
      return fromJs(sandbox, sandbox.call('$finish', []), returns);
    },
  };
}
