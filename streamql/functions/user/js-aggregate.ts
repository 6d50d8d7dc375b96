import { StreamError } from '../../../src/lib/errors.ts';
import { type Column, datumAt } from '../../../src/values/column.ts';
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
  const advanceOne = (
    state: string | null,
    args: readonly Column[],
    changes: readonly (readonly [number, number])[],
  ) => {
    const sandbox = loaded(state);
    for (const [row, times] of changes) {
      const step = times > 0 ? '$accumulate' : '$retract';
      for (let left = Math.abs(times); left > 0; left--)
        sandbox
          .call(
            step,
            args.map((arg, i) => toQuick(sandbox, datumAt(arg, row), types[i])),
          )
          .dispose();
    }
    const text = sandbox.call('$save', []).consume((handle) => sandbox.vm.getString(handle));
    if (text.length <= MAX_STATE_CHARS) return text;
    throw new StreamError('VALUE_FUNCTION', `${fn.name} has a state of more than ${MAX_STATE_CHARS} characters`);
  };
  return {
    // Of a batch each group's state is read and written once.
    advance(states, { args, rows, groups, times, count }) {
      const coming: [number, number][][] = states.map(() => []);
      const going: [number, number][][] = states.map(() => []);
      for (let k = 0; k < count; k++) (times[k] > 0 ? coming : going)[groups[k]].push([rows[k], times[k]]);
      return states.map((state, g) => {
        try {
          return advanceOne(state, args, [...coming[g], ...going[g]]);
        } catch (thrown) {
          if (thrown instanceof StreamError && thrown.code.startsWith('VALUE_')) return thrown;
          throw thrown;
        }
      });
    },
    finish(state) {
      const sandbox = loaded(state);
      return fromJs(sandbox, sandbox.call('$finish', []), returns);
    },
  };
}
