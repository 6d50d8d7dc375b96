import fc from 'fast-check';
import { loadModule, parseSync } from 'libpg-query';
import { beforeAll, expect, test } from 'vitest';
import type { AstExpr } from '../../../streamql/parser/ast.ts';
import { parseExpression } from '../../../streamql/parser/parser.ts';

/** Both trees are brought into one normal form, s-expressions, and must be the same. */

beforeAll(() => loadModule());

function ours(e: AstExpr): string {
  switch (e.kind) {
    case 'column':
      return e.path.map((part) => part.text).join('.');
    case 'number':
      return e.text;
    case 'string':
      return `'${e.value}'`;
    case 'boolean':
      return String(e.value);
    case 'null':
      return 'null';
    case 'unary': {
      const arg = ours(e.arg);
      // Postgres's grammar makes the sign part of a number constant and drops a plus.
      if (e.op === '-' && /^-?[\d.]/.test(arg)) return arg.startsWith('-') ? arg.slice(1) : `-${arg}`;
      if (e.op === '+') return `(u+ ${arg})`;
      return e.op === '-' ? `(u- ${arg})` : `(${e.op} ${arg})`;
    }
    case 'binary':
      return `(${e.op} ${ours(e.left)} ${ours(e.right)})`;
    case 'isNull':
      return `(${e.negated ? 'is not null' : 'is null'} ${ours(e.arg)})`;
    case 'isTruth':
      return `(is ${e.negated ? 'not ' : ''}${e.truth === null ? 'unknown' : e.truth} ${ours(e.arg)})`;
    case 'between':
      return `(${e.negated ? 'not ' : ''}between ${ours(e.arg)} ${ours(e.low)} ${ours(e.high)})`;
    case 'in':
      return `(${e.negated ? 'not ' : ''}in ${ours(e.arg)} ${e.list.map(ours).join(' ')})`;
    case 'like':
      return `(${e.negated ? 'not ' : ''}${e.insensitive ? 'ilike' : 'like'} ${ours(e.arg)} ${ours(e.pattern)})`;
    case 'case': {
      const parts = e.branches.map((b) => `${ours(b.when)} => ${ours(b.then)}`).join(' ');
      return `(case ${e.operand ? ours(e.operand) : '_'} ${parts} else ${e.otherwise ? ours(e.otherwise) : '_'})`;
    }
    case 'cast':
      return `(cast ${ours(e.arg)} ${e.type.kind})`;
    case 'call':
      return `(call ${e.name.text} ${e.args.map(ours).join(' ')})`;
    default:
      return `<${e.kind}>`;
  }
}

const PG_TYPES: Record<string, string> = {
  int4: 'integer',
  int8: 'bigint',
  float8: 'double',
  text: 'varchar',
  bool: 'boolean',
};

/** A node of libpg-query is an object with one key, its kind. */
function theirs(node: any): string {
  const [kind, e] = Object.entries<any>(node)[0];
  const names = (list: any[]) => list.map((part: any) => part.String?.sval);
  switch (kind) {
    case 'ColumnRef':
      return names(e.fields).join('.');
    case 'A_Const':
      if (e.isnull) return 'null';
      if (e.ival) return String(e.ival.ival ?? 0);
      if (e.fval) return e.fval.fval;
      if (e.boolval) return String(e.boolval.boolval ?? false);
      return `'${e.sval?.sval ?? ''}'`;
    case 'BoolExpr': {
      const op = { AND_EXPR: 'and', OR_EXPR: 'or', NOT_EXPR: 'not' }[e.boolop as string] as string;
      const args = e.args.map(theirs);
      // Postgres flattens a AND b AND c.
      return op === 'not'
        ? `(not ${args[0]})`
        : args.reduce((left: string, right: string) => `(${op} ${left} ${right})`);
    }
    case 'NullTest':
      return `(${e.nulltesttype === 'IS_NULL' ? 'is null' : 'is not null'} ${theirs(e.arg)})`;
    case 'BooleanTest':
      return `(${e.booltesttype.toLowerCase().replaceAll('_', ' ')} ${theirs(e.arg)})`;
    case 'A_Expr': {
      const op = names(e.name).join('.');
      switch (e.kind) {
        case 'AEXPR_OP':
          if (e.lexpr === undefined)
            return op === '-' || op === '+' ? `(u${op} ${theirs(e.rexpr)})` : `(${op} ${theirs(e.rexpr)})`;
          return `(${op} ${theirs(e.lexpr)} ${theirs(e.rexpr)})`;
        case 'AEXPR_DISTINCT':
          return `(is distinct from ${theirs(e.lexpr)} ${theirs(e.rexpr)})`;
        case 'AEXPR_NOT_DISTINCT':
          return `(is not distinct from ${theirs(e.lexpr)} ${theirs(e.rexpr)})`;
        case 'AEXPR_IN':
          return `(${op === '<>' ? 'not ' : ''}in ${theirs(e.lexpr)} ${e.rexpr.List.items.map(theirs).join(' ')})`;
        case 'AEXPR_LIKE':
          return `(${op === '!~~' ? 'not ' : ''}like ${theirs(e.lexpr)} ${theirs(e.rexpr)})`;
        case 'AEXPR_ILIKE':
          return `(${op === '!~~*' ? 'not ' : ''}ilike ${theirs(e.lexpr)} ${theirs(e.rexpr)})`;
        case 'AEXPR_BETWEEN':
        case 'AEXPR_NOT_BETWEEN': {
          const [low, high] = e.rexpr.List.items;
          return `(${e.kind === 'AEXPR_BETWEEN' ? '' : 'not '}between ${theirs(e.lexpr)} ${theirs(low)} ${theirs(high)})`;
        }
        default:
          return `<${e.kind}>`;
      }
    }
    case 'CaseExpr': {
      const parts = e.args.map(({ CaseWhen: b }: any) => `${theirs(b.expr)} => ${theirs(b.result)}`).join(' ');
      return `(case ${e.arg ? theirs(e.arg) : '_'} ${parts} else ${e.defresult ? theirs(e.defresult) : '_'})`;
    }
    case 'TypeCast': {
      const type = names(e.typeName.names).pop() as string;
      return `(cast ${theirs(e.arg)} ${PG_TYPES[type] ?? type})`;
    }
    case 'FuncCall':
      return `(call ${names(e.funcname).pop()} ${(e.args ?? []).map(theirs).join(' ')})`;
    default:
      return `<${kind}>`;
  }
}

function postgres(text: string): string | null {
  try {
    const parsed: any = parseSync(`SELECT ${text}`);
    return theirs(parsed.stmts[0].stmt.SelectStmt.targetList[0].ResTarget.val);
  } catch {
    return null;
  }
}

function streamql(text: string): string | null {
  try {
    return ours(parseExpression(text));
  } catch {
    return null;
  }
}

const atom = fc.constantFrom(
  'a',
  'b',
  't.c',
  '1',
  '2.50',
  '.5',
  "'x'",
  'null',
  'true',
  '"Q"',
  '12345678901234567890',
  'f(a)',
);
const infix = fc.constantFrom(
  ...['AND', 'OR', '=', '<>', '<', '>=', '!=', '+', '-', '*', '/', '%', '^', '||', '->', '->>', '~', '&', '<<'],
  ...['LIKE', 'NOT LIKE', 'ILIKE', 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM'],
);
const postfix = fc.constantFrom(
  'IS NULL',
  'IS NOT NULL',
  'IS TRUE',
  'IS NOT FALSE',
  'IS UNKNOWN',
  'ISNULL',
  '::int8',
  '::text',
);
const prefix = fc.constantFrom('NOT ', '- ', '+ ', '~ ');
/** Text without any thought for precedence: parentheses come only where the generator wants them. */
const { expr } = fc.letrec<{ expr: string }>((tie) => ({
  expr: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    atom,
    fc.tuple(tie('expr'), infix, tie('expr')).map(([l, op, r]) => `${l} ${op} ${r}`),
    fc.tuple(tie('expr'), infix, tie('expr')).map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc.tuple(tie('expr'), postfix).map(([e, op]) => `${e} ${op}`),
    fc.tuple(prefix, tie('expr')).map(([op, e]) => `${op}${e}`),
    fc
      .tuple(tie('expr'), fc.boolean(), tie('expr'), tie('expr'))
      .map(([e, not, l, h]) => `${e} ${not ? 'NOT ' : ''}BETWEEN ${l} AND ${h}`),
    fc.tuple(tie('expr'), fc.boolean(), tie('expr')).map(([e, not, l]) => `${e} ${not ? 'NOT ' : ''}IN (1, ${l})`),
    fc.tuple(tie('expr'), tie('expr')).map(([w, t]) => `CASE WHEN ${w} THEN ${t} ELSE 0 END`),
    fc.tuple(tie('expr'), tie('expr'), tie('expr')).map(([o, w, t]) => `CASE ${o} WHEN ${w} THEN ${t} END`),
    fc.tuple(tie('expr')).map(([e]) => `CAST(${e} AS BIGINT)`),
  ),
}));

test('expressions group, and are refused, as in Postgres', () => {
  let accepted = 0;
  fc.assert(
    fc.property(expr, (text) => {
      const wanted = postgres(text);
      if (wanted !== null) accepted++;
      expect(streamql(text), text).toBe(wanted);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) },
  );
  expect(accepted).toBeGreaterThan(50);
});

test.each([
  'a OR b AND c = 1 OR NOT d IS NULL',
  'a BETWEEN b + 1 AND c AND d',
  '- a ^ 2',
  '-1::int8',
  'a || b -> c + d',
  'NOT a = b IS NULL',
  'a = b = c',
  'a LIKE b LIKE c',
  'x IN (1, 2) IN (true)',
  "'it''s' || E'a\\n\\u00e9' || $tag$ $x$ $tag$",
  'a*-b',
  'a<-b',
  'a @- b',
  '"A" + A',
  '1_000 + 0x1F',
  'f(a, b) FILTER',
])('%s', (text) => {
  expect(streamql(text)).toBe(postgres(text));
});
