import { type Position, StreamError } from '../../src/lib/errors.ts';
import {
  BOOLEAN,
  mapOf,
  NULL_TYPE,
  rowOf,
  type SqlType,
  TIMESTAMPTZ,
  type TypeKind,
  typeName,
  VARCHAR,
} from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { canCast } from '../functions/casts.ts';
import type { ScalarFunction } from '../functions/function-table.ts';
import { FUNCTIONS, functionsNamed } from '../functions/functions.ts';
import { fold } from '../plan/fold.ts';
import type { Expr } from '../plan/plan.ts';
import { coerce, unify } from './coerce.ts';
import { checkConstants } from './constant-arguments.ts';
import type { BindContext } from './context.ts';
import { isNullLiteral, isUnknown, literal } from './literals.ts';
import { suggestion } from './scope.ts';

/** Numeric kinds from exact and small to approximate; a cast upwards costs its steps. */
const LADDER: readonly TypeKind[] = ['smallint', 'integer', 'bigint', 'decimal', 'real', 'double'];
const IMPOSSIBLE = Number.POSITIVE_INFINITY;

/** A call of a scalar function or operator, its overload chosen and its arguments cast. SQL_TYPE when none fits. */
export function bindCall(
  context: BindContext,
  name: string,
  given: readonly Expr[],
  at: Position,
  clause?: string,
): Expr {
  const overloads = functionsNamed(name);
  const isOperator = !/^[a-z_]/.test(name);
  if (overloads.length === 0) {
    if (!isOperator) throw noFunction(context, name, at);
    const instead = Object.hasOwn(OTHER_OPERATORS, name) ? { hint: `write ${OTHER_OPERATORS[name]}` } : {};
    throw new StreamError('SQL_TYPE', `there is no operator ${name}`, { at, sqlState: '42883', ...instead });
  }
  const chosen = choose(overloads, given, isOperator);
  if (chosen === undefined) throw noOverload(name, overloads, given, isOperator, at);
  // What WHERE does with it is for now-filter.ts to say.
  const isFilter = chosen.id === 'now' && clause === 'WHERE';
  if (chosen.deterministic === false && context.mode === 'view' && !isFilter) {
    throw new StreamError(
      'SQL_UNSUPPORTED',
      `${name}() is not allowed in a view or sink: its value changes with time`,
      {
        at,
        hint:
          chosen.returns([]).kind === 'timestamptz'
            ? "compare a time with it in WHERE: ts > now() - INTERVAL '1 hour'; or take a column of the record, such as _timestamp"
            : 'derive it from a column, as murmur3(key) does',
      },
    );
  }
  if (chosen.id === 'now' && context.mode === 'pull' && context.nowMicros !== undefined)
    return literal(context.nowMicros, TIMESTAMPTZ);
  checkConstants(name, given, at);
  return fold(applyFunction(chosen, given, at));
}

/** What other languages and databases write. */
const OTHER_OPERATORS: Readonly<Record<string, string>> = {
  '==': 'a = b',
  '<=>': 'a IS NOT DISTINCT FROM b',
  '&&': 'a AND b',
  '!': 'NOT a',
  '**': 'a ^ b',
};

/** Functions of the peers that go by another name or form here. */
const OTHER_FUNCTIONS: Readonly<Record<string, string>> = {
  listagg: 'string_agg(text, delimiter ORDER BY …)',
  group_concat: 'string_agg(text, delimiter ORDER BY …)',
  collect: 'array_agg(x)',
  collect_list: 'array_agg(x)',
  collect_set: 'array_agg(DISTINCT x)',
  explode: 'unnest(array) in FROM',
  split: 'string_to_array(text, delimiter)',
  latest_by_offset: 'last_value(x ORDER BY _offset)',
  earliest_by_offset: 'first_value(x ORDER BY _offset)',
  isnull: 'x IS NULL',
  sysdate: 'now()',
  getdate: 'now()',
  current_watermark: 'the watermark column of the source: EXPLAIN shows how far it is',
};

export function noFunction(context: BindContext, name: string, at: Position): StreamError {
  const own = context.catalog.functionNames?.() ?? [];
  const names = [...[...FUNCTIONS.values()].map((fn) => fn.name), ...AGGREGATES.keys(), ...own, ...SPECIAL_FUNCTIONS];
  const other = Object.hasOwn(OTHER_FUNCTIONS, name) ? `write ${OTHER_FUNCTIONS[name]}` : undefined;
  return new StreamError('SQL_BIND', `there is no function ${name}`, {
    at,
    sqlState: '42883',
    hint: other ?? suggestion(name, new Set(names.filter((one) => /^[a-z]/.test(one)))) ?? 'SHOW FUNCTIONS lists them',
  });
}

/** With a meaning of their own in the binder. */
const SPECIAL_FUNCTIONS = ['coalesce', 'nullif', 'row_number', 'dense_rank', 'grouping', 'proctime'];

function applyFunction(fn: ScalarFunction, given: readonly Expr[], at: Position): Expr {
  // greatest and least take any type, but one.
  const sameForAll =
    fn.variadic === true && fn.args.length === 1 && fn.args[0] === 'any' && /^(?:greatest|least)$/.test(fn.name);
  if (fn.together !== undefined) return fitted(fn, fn.together, given, at);
  const unified = sameForAll ? unify(given, at, fn.name) : given;
  const isSettled = sameForAll && unified[0].type.kind !== 'null';
  const args = isSettled ? unified : unified.map((arg, i) => coerceToKind(arg, parameterKind(fn, i), at));
  return { op: 'call', fn: fn.id, args, type: fn.returns(args.map((arg) => arg.type)) };
}

function fitted(
  fn: ScalarFunction,
  together: NonNullable<ScalarFunction['together']>,
  given: readonly Expr[],
  at: Position,
): Expr {
  const types = together(given.map((arg) => (isUnknown(arg) || isNullLiteral(arg) ? NULL_TYPE : arg.type)));
  if (types === undefined) throw noOverload(fn.name, [fn], given, !/^[a-z_]/.test(fn.name), at);
  const args = given.map((arg, i) => coerce(arg, types[i], at));
  return { op: 'call', fn: fn.id, args, type: fn.returns(args.map((arg) => arg.type)) };
}

const parameterKind = (fn: ScalarFunction, i: number): TypeKind | 'any' => fn.args[Math.min(i, fn.args.length - 1)];

function coerceToKind(arg: Expr, kind: TypeKind | 'any', at: Position): Expr {
  if (kind === 'any') return isNullLiteral(arg) || isUnknown(arg) ? coerce(arg, { kind: 'varchar' }, at) : arg;
  if (arg.type.kind === kind && !isUnknown(arg)) return arg;
  return coerce(arg, typeOfKind(kind, arg.type), at);
}

/** A parameter names a kind only; the decimal that holds an argument follows from the argument. */
function typeOfKind(kind: TypeKind, from: SqlType): SqlType {
  if (kind === 'decimal') {
    const digits = { smallint: 5, integer: 10, bigint: 19 }[from.kind as string];
    return { kind: 'decimal', precision: digits ?? 38, scale: digits === undefined ? 18 : 0 };
  }
  if (kind === 'array') return { kind: 'array', element: { kind: 'varchar' } };
  if (kind === 'map') return mapOf(VARCHAR, VARCHAR);
  if (kind === 'row') return rowOf([]);
  return { kind } as SqlType;
}

function choose(
  overloads: readonly ScalarFunction[],
  given: readonly Expr[],
  isOperator: boolean,
): ScalarFunction | undefined {
  const fitting = overloads.filter((fn) => takes(fn, given.length));
  // Postgres 10.2: an untyped string beside a typed operand is first taken as of that type.
  if (isOperator && given.length === 2 && isUnknown(given[0]) !== isUnknown(given[1])) {
    const { kind } = (isUnknown(given[0]) ? given[1] : given[0]).type;
    const exact = fitting.find((fn) => parameterKind(fn, 0) === kind && parameterKind(fn, 1) === kind);
    if (exact !== undefined) return exact;
  }
  let best: ScalarFunction | undefined;
  let bestCost = IMPOSSIBLE;
  for (const fn of fitting) {
    let cost = 0;
    for (let i = 0; i < given.length && cost < IMPOSSIBLE; i++) cost += castCost(given[i], parameterKind(fn, i));
    if (cost < bestCost) {
      best = fn;
      bestCost = cost;
    }
  }
  return best;
}

function takes(fn: ScalarFunction, count: number): boolean {
  return fn.variadic ? count >= fn.args.length : count === fn.args.length;
}

function castCost(arg: Expr, kind: TypeKind | 'any'): number {
  if (isNullLiteral(arg)) return 0.01;
  if (isUnknown(arg)) return kind === 'varchar' ? 0.01 : kind === 'any' ? 0.02 : 0.05;
  if (arg.type.kind === kind) return 0;
  if (kind === 'any') return 50;
  if (!canCast(arg.type, typeOfKind(kind, arg.type), 'implicit')) return IMPOSSIBLE;
  // Postgres prefers double where numbers of other kinds meet a real.
  if (kind === 'real') return 10;
  const steps = LADDER.indexOf(kind) - LADDER.indexOf(arg.type.kind);
  return LADDER.includes(kind) && steps > 0 ? steps : 3;
}

function noOverload(
  name: string,
  overloads: readonly ScalarFunction[],
  given: readonly Expr[],
  isOperator: boolean,
  at: Position,
): StreamError {
  const types = given.map((arg) => (isUnknown(arg) ? 'text' : typeName(arg.type)));
  const written = isOperator
    ? types.length === 2
      ? `${types[0]} ${name} ${types[1]}`
      : `${name} ${types[0]}`
    : `${name}(${types.join(', ')})`;
  const signatures = overloads.slice(0, 6).map((fn) => `${name}(${fn.args.join(', ')}${fn.variadic ? ' …' : ''})`);
  return new StreamError('SQL_TYPE', `there is no ${written}`, {
    at,
    sqlState: '42883',
    hint: isOperator ? 'CAST a side to the type of the other' : `there is ${signatures.join(', ')}`,
  });
}

type Comparison = Extract<Expr, { op: 'compare' }>['cmp'];

/** Kinds without an order or an equality of their own. */
export function bindCompare(cmp: Comparison, left: Expr, right: Expr, at: Position): Expr {
  const sign = cmp === 'distinct' || cmp === 'notDistinct' ? 'IS DISTINCT FROM' : cmp;
  const [l, r] = unify([left, right], at, sign, true);
  return fold({ op: 'compare', cmp, left: l, right: r, type: BOOLEAN });
}
