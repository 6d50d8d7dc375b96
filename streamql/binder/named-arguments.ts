import { StreamError } from '../../src/lib/errors.ts';
import { PARAMETERS } from '../functions/parameters.ts';
import type { AstExpr } from '../parser/ast.ts';
import { parseExpression } from '../parser/parser.ts';
import type { BindContext } from './context.ts';
import { suggestion } from './scope.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;

/** f(a, name => b) with its arguments in order, and defaults for those left out. */
export function inOrder(ast: Call, context: BindContext): Call {
  const { argNames = [], args, name } = ast;
  const user = context.catalog.userFunction?.(name.text);
  const parameters = user?.params.map((one) => one.name) ?? PARAMETERS[name.text];
  if (parameters === undefined) {
    throw new StreamError('SQL_UNSUPPORTED', `a named argument of ${name.text} is not supported`, {
      at: argNames.find((one) => one !== null)?.at ?? ast.at,
      hint: 'give the arguments in order',
    });
  }
  const [names, defaults] = [0, 1].map((part) => parameters.map((one) => one.split(' = ')[part] as string | undefined));
  const given: (AstExpr | undefined)[] = names.map((_, i) => (argNames[i] === null ? args[i] : undefined));
  argNames.forEach((one, i) => {
    if (one === null) return;
    const at = names.indexOf(one.text);
    if (at < 0 || given[at] !== undefined) {
      throw new StreamError(
        'SQL_BIND',
        at < 0 ? `${name.text} has no argument "${one.text}"` : `${one.text} is given twice`,
        { at: one.at, hint: suggestion(one.text, names as string[]) ?? `its arguments are ${names.join(', ')}` },
      );
    }
    given[at] = args[i];
  });
  const all = given.map((arg, i): AstExpr => {
    if (arg !== undefined) return arg;
    const text = defaults[i];
    if (text !== undefined) return { ...parseExpression(text), at: ast.at };
    throw new StreamError('SQL_BIND', `${name.text} needs its argument ${names[i]}`, {
      at: ast.at,
      hint: `its arguments are ${parameters.join(', ')}`,
    });
  });
  const { argNames: _, ...rest } = ast;
  return { ...rest, args: all };
}
