import { StreamError } from '../../../src/lib/errors.ts';
import { jsSteps } from './js-aggregate.ts';
import { exportsFunction, prepareJs, releaseJs, sandboxOf } from './js-program.ts';
import { checkRetract } from './retract-check.ts';
import type { UserFunction } from './user-function.ts';
import { checkWasm, prepareWasm, releaseWasm } from './wasm-functions.ts';

/** Before plans that call these functions are built, or bound, in this thread. */
export async function prepareUserCode(functions: readonly UserFunction[]): Promise<void> {
  for (const fn of functions) {
    if (fn.language === 'js') await prepareJs(fn);
    else if (fn.language === 'wasm') prepareWasm(fn);
  }
}

/** When nothing in this thread calls it any more. */
export function releaseUserCode(fn: UserFunction): void {
  if (fn.language === 'js') releaseJs(fn);
  else if (fn.language === 'wasm') releaseWasm(fn);
}

/** What CREATE refuses: code that does not compile, lacks what it must export or does not keep what it promises. */
export function checkUserCode(fn: UserFunction): void {
  if (fn.language === 'wasm') {
    checkWasm(fn);
    return;
  }
  const { sandbox, main } = sandboxOf(fn);
  const needed = fn.kind === 'aggregate' ? ['create_state', 'accumulate'] : [main];
  for (const name of needed) {
    if (sandbox.has(name)) continue;
    throw new StreamError('SQL_BIND', `the code of "${fn.name}" exports no function ${name}`, {
      hint: `write: export function ${name}(…) { … }`,
    });
  }
  if (fn.kind !== 'aggregate') return;
  if (exportsFunction(fn, 'merge')) {
    throw new StreamError('SQL_UNSUPPORTED', 'merge of an aggregate is not called', {
      hint: 'leave it out: all rows of a group come to one state',
    });
  }
  if (exportsFunction(fn, 'retract')) checkRetract(fn, jsSteps(fn));
}
