import { StreamError } from '../../src/lib/errors.ts';
import { isHalf, joinByKeys, joinOn, joinSchema, withKeyColumns } from '../plan/join.ts';
import type { Aggregate, Expr, Join, Plan, TopN, Unnest } from '../plan/plan.ts';
import {
  columnRef,
  columnsUsed,
  conjuncts,
  exprsOf,
  filterBy,
  identity,
  inputsOf,
  mapExprs,
  remap,
  rewrite,
} from '../plan/walk.ts';
import { aggregateDefault } from './aggregates.ts';

/** A subquery without references to the query around it, and the condition under which its rows belong to an outer row. */
export interface Pulled {
  /** The subquery's own columns first; further ones are there for `terms`. */
  readonly plan: Plan;
  /** Over the plan's columns and outer references of level 1. */
  readonly terms: readonly Expr[];
}

type Outer = Extract<Expr, { op: 'outer' }>;

export const hasOuter = (expr: Expr): boolean => {
  let found = false;
  rewrite(expr, (part) => {
    if (part.op === 'outer' && part.level === 1) found = true;
    return found ? part : undefined;
  });
  return found;
};

export const isCorrelated = (plan: Plan): boolean => exprsOf(plan).some(hasOuter) || inputsOf(plan).some(isCorrelated);

/** Every outer reference of level 1, once. */
function outersOf(plan: Plan, into: Map<number, Outer> = new Map()): Map<number, Outer> {
  for (const expr of exprsOf(plan)) {
    rewrite(expr, (part) => {
      if (part.op === 'outer' && part.level === 1) into.set(part.index, part);
      return undefined;
    });
  }
  for (const input of inputsOf(plan)) outersOf(input, into);
  return into;
}

/** `inner column = what the outer query gives`, either way round; null when the term is no such equality. */
export function correlationOf(term: Expr): { inner: Expr; outer: Expr } | null {
  if (term.op !== 'compare' || term.cmp !== '=') return null;
  const side = (expr: Expr): 'inner' | 'outer' | 'mixed' =>
    hasOuter(expr)
      ? columnsUsed(expr).size === 0
        ? 'outer'
        : 'mixed'
      : columnsUsed(expr).size > 0
        ? 'inner'
        : 'mixed';
  const [left, right] = [side(term.left), side(term.right)];
  if (left === 'inner' && right === 'outer') return { inner: term.left, outer: term.right };
  if (left === 'outer' && right === 'inner') return { inner: term.right, outer: term.left };
  return null;
}

/**
 * Pulls the correlated conditions of a subquery up to its root, where they become a join's condition. The cheap way: no state but
 * that of the join. Null where a reference stands elsewhere than in a WHERE (or ON), or above something that the condition must not
 * pass, such as a non-equality over an aggregate: then `pushDown` does it.
 */
export function pullUp(plan: Plan): Pulled | null {
  if (!isCorrelated(plan)) return { plan, terms: [] };
  switch (plan.op) {
    case 'filter': {
      const input = pullUp(plan.input);
      if (input === null) return null;
      const terms = conjuncts(plan.predicate);
      return {
        plan: filterBy(
          input.plan,
          terms.filter((term) => !hasOuter(term)),
        ),
        terms: [...input.terms, ...terms.filter(hasOuter)],
      };
    }
    case 'project': {
      if (plan.exprs.some(hasOuter)) return null;
      const input = pullUp(plan.input);
      if (input === null) return null;
      const { carried, terms } = carry(input.terms, plan.exprs.length);
      const exprs = [...plan.exprs, ...carried.map((column) => columnRef(input.plan.schema, column))];
      const schema = [...plan.schema, ...carried.map((column) => input.plan.schema[column])];
      return { plan: { op: 'project', input: input.plan, exprs, schema }, terms };
    }
    case 'distinct': {
      const input = keyed(pullUp(plan.input));
      return input && { plan: { op: 'distinct', input: input.plan, schema: input.plan.schema }, terms: input.terms };
    }
    case 'aggregate':
      return plan.groupBy.length === 0 ? null : pullAggregate(plan);
    case 'topn':
      return pullTopN(plan);
    case 'unnest': {
      const input = pullUp(plan.input);
      return input && overWider(plan, input.plan, input.terms);
    }
    case 'join':
      return pullJoin(plan);
    default:
      return null;
  }
}

/** The function over an input that has more columns at its end, which come to stand at the end of the output. */
function overWider(plan: Unnest, input: Plan, terms: readonly Expr[]): Pulled {
  const own = plan.input.schema.length;
  const more = input.schema.length - own;
  const made = plan.schema.slice(own);
  const wide: Unnest = { ...plan, input, schema: [...input.schema, ...made] };
  const order = [
    ...Array.from({ length: own }, (_, i) => i),
    ...made.map((_, i) => own + more + i),
    ...Array.from({ length: more }, (_, i) => own + i),
  ];
  const place = (column: number): number => (column < own ? column : column + made.length);
  return { plan: reordered(wide, order), terms: terms.map((term) => remap(term, place)) };
}

/** Columns that terms need, numbered from `from` on. */
function carry(terms: readonly Expr[], from: number): { carried: number[]; terms: Expr[] } {
  const used = new Set<number>();
  for (const term of terms) columnsUsed(term, used);
  const carried = [...used].sort((a, b) => a - b);
  return { carried, terms: terms.map((term) => remap(term, (column) => from + carried.indexOf(column))) };
}

/** With every term in the form `column = outer`; null when one cannot be. Columns are made at the end. */
export function keyed(pulled: Pulled | null): (Pulled & { readonly keys: readonly number[] }) | null {
  if (pulled === null) return null;
  const pairs = pulled.terms.map(correlationOf);
  if (pairs.some((pair) => pair === null)) return null;
  const made = pairs as { inner: Expr; outer: Expr }[];
  const { plan, columns } = withKeyColumns(
    pulled.plan,
    made.map(({ inner }) => inner),
  );
  const terms = made.map(
    ({ outer }, i): Expr => ({
      op: 'compare',
      cmp: '=',
      left: columnRef(plan.schema, columns[i]),
      right: outer,
      type: { kind: 'boolean' },
    }),
  );
  return { plan, terms, keys: columns };
}

/** The keys become group columns. The node's own columns come first, then the keys. */
function pullAggregate(plan: Aggregate): Pulled | null {
  const input = keyed(pullUp(plan.input));
  return input && groupedBy(plan, input);
}

export function groupedBy(plan: Aggregate, input: Pulled & { readonly keys: readonly number[] }): Pulled {
  const own = plan.groupBy.length;
  const keys = input.keys;
  const { schema } = input.plan;
  const grouped: Aggregate = {
    ...plan,
    input: input.plan,
    groupBy: [...plan.groupBy, ...keys],
    schema: [...plan.schema.slice(0, own), ...keys.map((column) => schema[column]), ...plan.schema.slice(own)],
  };
  const order = [
    ...plan.groupBy.map((_, i) => i),
    ...plan.aggregates.map((_, i) => own + keys.length + i),
    ...keys.map((_, i) => own + i),
  ];
  const width = plan.schema.length;
  return { plan: reordered(grouped, order), terms: rekeyed(input, (i) => width + i) };
}

function pullTopN(plan: TopN): Pulled | null {
  const input = keyed(pullUp(plan.input));
  if (input === null) return null;
  const { schema } = input.plan;
  const width = plan.input.schema.length;
  const top: TopN = {
    ...plan,
    input: input.plan,
    partitionBy: [...plan.partitionBy, ...input.keys],
    schema: plan.rank ? [...schema, plan.schema[width]] : schema,
  };
  const order = [...plan.input.schema.map((_, i) => i), ...(plan.rank ? [schema.length] : []), ...input.keys];
  return { plan: reordered(top, order), terms: rekeyed(input, (i) => plan.schema.length + i) };
}

const rekeyed = ({ terms, plan, keys }: Pulled & { readonly keys: readonly number[] }, at: (i: number) => number) =>
  terms.map(
    (term, i): Expr =>
      term.op === 'compare' ? { ...term, left: { ...columnRef(plan.schema, keys[i]), index: at(i) } as Expr } : term,
  );

function pullJoin(plan: Join): Pulled | null {
  const onTerms = conjuncts(plan.residual);
  const above = plan.kind === 'inner' || plan.kind === 'semi' ? onTerms.filter(hasOuter) : [];
  if (plan.kind === 'semi' && above.length > 0) return null;
  if (onTerms.some(hasOuter) && plan.kind !== 'inner') return null;
  if (plan.kind === 'full' || (plan.kind !== 'inner' && isCorrelated(plan.right))) return null;
  const left = pullUp(plan.left);
  const right = pullUp(plan.right);
  if (left === null || right === null) return null;
  const [l, r] = [plan.left.schema.length, plan.right.schema.length];
  const wide = left.plan.schema.length;
  const place = (column: number): number => (column < l ? column : column - l + wide);
  const residual = onTerms.filter((term) => !hasOuter(term)).map((term) => remap(term, place));
  const join: Join = {
    ...plan,
    left: left.plan,
    right: right.plan,
    residual:
      residual.length === 0
        ? null
        : residual.length === 1
          ? residual[0]
          : { op: 'and', args: residual, type: { kind: 'boolean' } },
    schema: joinSchema(plan.kind, left.plan.schema, right.plan.schema),
  };
  const own = isHalf(plan.kind) ? l : l + r;
  const order = [
    ...Array.from({ length: own }, (_, i) => place(i)),
    ...Array.from({ length: wide - l }, (_, i) => l + i),
    ...(isHalf(plan.kind) ? [] : Array.from({ length: right.plan.schema.length - r }, (_, i) => wide + r + i)),
  ];
  const to = new Map(order.map((from, at) => [from, at]));
  const moved = (term: Expr, from: (column: number) => number): Expr =>
    remap(term, (column) => to.get(from(column)) as number);
  return {
    plan: reordered(join, order),
    terms: [
      ...left.terms.map((term) => moved(term, (column) => column)),
      ...right.terms.map((term) => moved(term, (column) => wide + column)),
      ...above.map((term) => moved(term, place)),
    ],
  };
}

export function reordered(plan: Plan, order: readonly number[]): Plan {
  if (order.length === plan.schema.length && order.every((from, at) => from === at)) return plan;
  const exprs = order.map((column) => columnRef(plan.schema, column));
  return { op: 'project', input: plan, exprs, schema: order.map((column) => plan.schema[column]) };
}

/**
 * The general way (Neumann and Kemper, Unnesting Arbitrary Queries, 2015): the subquery for every combination `domain` of the outer
 * columns that it refers to. `outers` says which outer column is which column of `domain`. Output: the subquery's columns, then the
 * domain's.
 */
function pushDown(plan: Plan, domain: Plan, outers: readonly number[]): Plan {
  const down = (input: Plan): Plan => pushDown(input, domain, outers);
  const count = domain.schema.length;
  const resolve = (expr: Expr, at: number): Expr =>
    rewrite(expr, (part) =>
      part.op === 'outer' && part.level === 1
        ? { op: 'column', index: at + outers.indexOf(part.index), type: part.type }
        : undefined,
    );
  if (plan.op === 'values' && plan.rows.length === 1 && plan.schema.length === 0) return domain;
  if (!isCorrelated(plan)) return joinOn(plan, domain, 'inner', []);
  switch (plan.op) {
    case 'filter':
      return filterBy(down(plan.input), conjuncts(resolve(plan.predicate, plan.input.schema.length)));
    case 'project': {
      const input = down(plan.input);
      const own = plan.input.schema.length;
      const exprs = [
        ...plan.exprs.map((expr) => resolve(expr, own)),
        ...domain.schema.map((_, i) => columnRef(input.schema, own + i)),
      ];
      return { op: 'project', input, exprs, schema: [...plan.schema, ...domain.schema] };
    }
    case 'distinct': {
      const input = down(plan.input);
      return { op: 'distinct', input, schema: input.schema };
    }
    case 'union': {
      const inputs = plan.inputs.map(down);
      return { op: 'union', inputs, schema: [...plan.schema, ...domain.schema] };
    }
    case 'setOp':
      return { ...plan, left: down(plan.left), right: down(plan.right), schema: [...plan.schema, ...domain.schema] };
    case 'topn': {
      const input = down(plan.input);
      const own = plan.input.schema.length;
      const keys = domain.schema.map((_, i) => own + i);
      const top: TopN = {
        ...plan,
        input,
        partitionBy: [...plan.partitionBy, ...keys],
        schema: plan.rank ? [...input.schema, plan.schema[own]] : input.schema,
      };
      const order = [...plan.input.schema.map((_, i) => i), ...(plan.rank ? [own + count] : []), ...keys];
      return reordered(top, order);
    }
    case 'aggregate': {
      const input = down(plan.input);
      const keys = domain.schema.map((_, i) => plan.input.schema.length + i);
      const grouped = groupedBy(plan, { plan: input, terms: [], keys }).plan;
      return plan.groupBy.length > 0 ? grouped : withEmptyGroups(plan, grouped, domain);
    }
    case 'unnest':
      return overWider(plan, down(plan.input), []).plan;
    case 'join':
      return pushJoin(plan, domain, down, resolve);
    default:
      throw new StreamError('SQL_UNSUPPORTED', `a reference to an outer query below ${plan.op} is not supported`, {
        hint: 'join the subquery in FROM',
      });
  }
}

/** An aggregate without groups has a row for each domain row, also for one that no row belongs to. */
function withEmptyGroups(plan: Aggregate, grouped: Plan, domain: Plan): Plan {
  const own = plan.schema.length;
  const keys = domain.schema.map((_, i) => [columnRef(domain.schema, i), columnRef(grouped.schema, own + i)] as const);
  const joined = joinByKeys(domain, grouped, { kind: 'left', nullSafe: true }, keys, []);
  const count = domain.schema.length;
  const exprs = [
    ...plan.aggregates.map((call, i) => aggregateDefault(call, columnRef(joined.schema, count + i))),
    ...identity(domain.schema),
  ];
  return { op: 'project', input: joined, exprs, schema: [...plan.schema, ...domain.schema] };
}

function pushJoin(
  plan: Join,
  domain: Plan,
  down: (input: Plan) => Plan,
  resolve: (expr: Expr, at: number) => Expr,
): Plan {
  if (plan.kind === 'full') {
    throw new StreamError('SQL_UNSUPPORTED', 'a FULL JOIN that refers to an outer query is not supported', {
      hint: 'join the subquery in FROM',
    });
  }
  const count = domain.schema.length;
  const [l, r] = [plan.left.schema.length, plan.right.schema.length];
  const left = down(plan.left);
  const rightToo = isCorrelated(plan.right);
  const right = rightToo ? down(plan.right) : plan.right;
  // left: own columns, domain; right: own columns, maybe domain.
  const place = (column: number): number => (column < l ? column : column + count);
  const residual = conjuncts(plan.residual).map((term) => remapOuter(term, place, (expr) => resolve(expr, l)));
  const keys = plan.keys.map(([lc, rc]) => [columnRef(left.schema, lc), columnRef(right.schema, rc)] as const);
  const same = rightToo
    ? domain.schema.map((_, i) => [columnRef(left.schema, l + i), columnRef(right.schema, r + i)] as const)
    : [];
  const shift = left.schema.length;
  const asTerm = ([a, b]: readonly [Expr, Expr], cmp: '=' | 'notDistinct'): Expr => ({
    op: 'compare',
    cmp,
    left: a,
    right: remap(b, (column) => column + shift),
    type: { kind: 'boolean' },
  });
  const joined =
    same.length > 0
      ? joinByKeys(left, right, { kind: plan.kind, nullSafe: true }, same, [
          ...keys.map((pair) => asTerm(pair, plan.nullSafe ? 'notDistinct' : '=')),
          ...residual,
        ])
      : joinByKeys(left, right, { kind: plan.kind, nullSafe: plan.nullSafe === true }, keys, residual);
  if (isHalf(plan.kind)) return joined;
  return reordered(joined, [
    ...Array.from({ length: l }, (_, i) => i),
    ...Array.from({ length: r }, (_, i) => shift + i),
    ...Array.from({ length: count }, (_, i) => l + i),
  ]);
}

/** Columns moved by `place`, outer references resolved to columns that are not moved. */
function remapOuter(expr: Expr, place: (column: number) => number, resolve: (expr: Expr) => Expr): Expr {
  return rewrite(expr, (part) => {
    if (part.op === 'column') return { ...part, index: place(part.index) };
    return part.op === 'outer' && part.level === 1 ? resolve(part) : undefined;
  });
}

/** Brings an expression over FROM's columns up to the plan that stands now. */
export type Lift = (expr: Expr) => Expr;

/** The subquery's rows for each combination of the outer values that it refers to, and how to join them. */
export function perDomain(plan: Plan, inner: Plan, lift: Lift): { inner: Plan; keys: (readonly [Expr, Expr])[] } {
  const outers = [...outersOf(inner).values()];
  const values = outers.map(({ index, type }) => lift({ op: 'column', index, type }));
  const schema = outers.map(({ type, nullable }, i) => ({ name: `outer_${i}`, type, nullable }));
  const domain: Plan = { op: 'distinct', input: { op: 'project', input: plan, exprs: values, schema }, schema };
  const pushed = outward(
    pushDown(
      inner,
      domain,
      outers.map(({ index }) => index),
    ),
  );
  const keys = values.map((value, i) => [value, columnRef(pushed.schema, inner.schema.length + i)] as const);
  return { inner: pushed, keys };
}

/** A term over inner columns and outer references as one over outer ++ inner. */
export const overBoth = (term: Expr, width: number, lift: Lift): Expr =>
  rewrite(term, (part) => {
    if (part.op === 'column') return { ...part, index: part.index + width };
    return part.op === 'outer' && part.level === 1
      ? lift({ op: 'column', index: part.index, type: part.type })
      : nearer(part);
  });

/** References to queries further out come one level nearer once the subquery is part of the query around it. */
export const outward = (plan: Plan): Plan => mapExprs(plan, (expr) => rewrite(expr, nearer));
const nearer = (part: Expr): Expr | undefined =>
  part.op === 'outer' && part.level > 1 ? { ...part, level: part.level - 1 } : undefined;
