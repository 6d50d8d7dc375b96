import { SPELLINGS } from '../functions/spellings.ts';
import type { AstExpr } from '../parser/ast.ts';
import { parseExpression } from '../parser/parser.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;

const parsed = new Map<string, AstExpr>();

/** What the call stands for, as if it had been written so; undefined where it stands for itself. */
export function spelledOut(ast: Call): AstExpr | undefined {
  const { name, args, at } = ast;
  const plain = `${name.text}/${args.length}`;
  const [first] = args;
  // A unit that stands as a bare word.
  const unit = first?.kind === 'column' && first.path.length === 1 ? first.path[0].text.replace(/s$/, '') : '';
  const key = Object.hasOwn(SPELLINGS, plain) ? plain : `${plain} ${unit}`;
  if (!Object.hasOwn(SPELLINGS, key)) return undefined;
  let template = parsed.get(key);
  if (template === undefined) {
    template = parseExpression(SPELLINGS[key].means);
    parsed.set(key, template);
  }
  return filled(template, args, at) as AstExpr;
}

/** A copy with the arguments for $1, $2 …, all else at the place of the call. */
function filled(node: unknown, args: readonly AstExpr[], at: AstExpr['at']): unknown {
  if (Array.isArray(node)) return node.map((one) => filled(one, args, at));
  if (typeof node !== 'object' || node === null) return node;
  const one = node as AstExpr;
  if (one.kind === 'parameter') return args[one.index - 1];
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, filled(value, args, at)]));
  return 'at' in node ? { ...copy, at } : copy;
}
