import type { Datum } from '../../../src/values/types.ts';
import type { Expr } from '../../plan/plan.ts';
import { Generator } from '../expr/generate.ts';
import { HELPERS } from '../expr/helpers.ts';

export type ScalarFunction = (row: readonly Datum[]) => Datum;

/** An expression over one row given as datums, as generated code. Throws StreamError VALUE_* where there is no value. */
export function compileScalar(expr: Expr, width: number): ScalarFunction {
  const forms = new Array(width).fill({ total: false, typed: false, bytes: false, row: true });
  const generator = new Generator(forms);
  const { text } = generator.value(expr);
  const lines = generator.takeLines();
  const body = `return (row) => {\n${generator.columnReads.join('\n')}\n${lines}\nreturn ${text};\n};`;
  const scope: Record<string, unknown> = { ...HELPERS };
  generator.constants.forEach((value, n) => {
    scope[`k${n}`] = value;
  });
  return new Function(...Object.keys(scope), body)(...Object.values(scope)) as ScalarFunction;
}
