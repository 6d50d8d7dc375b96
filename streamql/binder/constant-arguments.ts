import { type Position, StreamError } from '../../src/lib/errors.ts';
import { regexOf } from '../../src/lib/regex.ts';
import type { Datum } from '../../src/values/types.ts';
import { truncate } from '../functions/datetime.ts';
import type { Expr } from '../plan/plan.ts';

const pattern = (value: Datum): unknown => regexOf(String(value));

/** Arguments that are constants in most calls, by the name of the function, and what fails for a value that no row could make right. */
const CHECKS: Readonly<Record<string, readonly [argument: number, check: (value: Datum) => unknown]>> = {
  '~': [1, pattern],
  '~*': [1, pattern],
  '!~': [1, pattern],
  '!~*': [1, pattern],
  regexp_like: [1, pattern],
  regexp_match: [1, pattern],
  regexp_count: [1, pattern],
  regexp_instr: [1, pattern],
  regexp_substr: [1, pattern],
  regexp_replace: [1, pattern],
  date_trunc: [0, (unit) => truncate(String(unit), 0)],
};

/** Throws where a constant is wrong for every row: at CREATE rather than in the dead letters of each row. */
export function checkConstants(name: string, args: readonly Expr[], at: Position): void {
  if (!Object.hasOwn(CHECKS, name)) return;
  const [argument, check] = CHECKS[name];
  const given = args[argument];
  if (given?.op !== 'literal' || given.value === null) return;
  try {
    check(given.value);
  } catch (thrown) {
    if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
    const { hint } = thrown;
    throw new StreamError(thrown.code, thrown.message, { at, cause: thrown, ...(hint === undefined ? {} : { hint }) });
  }
}
