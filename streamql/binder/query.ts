import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { BIGINT, NULL_TYPE, type SqlType, sameType, VARCHAR } from '../../src/values/types.ts';
import type { AstExpr, CommonTable, OrderItem, Query, QueryBody } from '../parser/ast.ts';
import type { Expr, Plan, SortKey } from '../plan/plan.ts';
import { columnRef } from '../plan/walk.ts';
import { coerce, unifiedType } from './coerce.ts';
import type { BindContext, Commons } from './context.ts';
import { bindExpr, type ExprScope } from './expressions.ts';
import { FALSE, literal } from './literals.ts';
import { isNullable } from './nullable.ts';
import { type Recursion, recursive, selfScan } from './recursion.ts';
import { Scope, suggestion } from './scope.ts';
import { type BoundBody, positionOf, SelectBinder } from './select.ts';

/** Queries: WITH, set operations, VALUES, ORDER BY and LIMIT; SELECT itself is select.ts. */
export class QueryBinder {
  readonly #context: BindContext;

  constructor(context: BindContext) {
    this.#context = context;
  }

  /** `isRoot`: of the statement, where a pull query's order means something. `around`: of the query that this one stands in. */
  bind(query: Query, outer: Commons | null, isRoot: boolean, around?: ExprScope): Plan {
    let commons = outer;
    for (const table of query.with) {
      if (query.with.some((other) => other !== table && other.name.text === table.name.text)) {
        throw new StreamError('SQL_BIND', `WITH has two tables named "${table.name.text}"`, { at: table.at });
      }
      commons = { table, outer: commons };
      if (table.recursive) this.#context.recursives.set(table.query, table);
    }
    const own = this.#context.recursives.get(query);
    if (own !== undefined && !this.#context.recursions.has(own)) return this.#recursive(query, own, outer);
    const limit = this.#count(query.limit, 'LIMIT');
    const offset = this.#count(query.offset, 'OFFSET') ?? 0;
    const { body } = query;
    const isWrapper = body.kind === 'nested' && query.orderBy.length === 0 && limit === null && offset === 0;
    const plan = isWrapper
      ? this.bind(body.query, commons, isRoot, around)
      : this.#cut(this.#body(body, query.orderBy, commons, around), limit, offset, isRoot, query.at);
    // A common table that nothing names is bound all the same, for its errors.
    for (let own = commons; own !== outer && own !== null; own = own.outer) {
      if (!this.#context.usedCommons.has(own.table))
        this.bind(own.table.query, own.table.recursive ? own : own.outer, false);
    }
    return plan;
  }

  /** A table of WITH RECURSIVE; as any other when it does not name itself. */
  #recursive(query: Query, table: CommonTable, commons: Commons | null): Plan {
    const recursion: Recursion = { name: table.name.text, self: null, references: [] };
    this.#context.recursions.set(table, recursion);
    try {
      const { body } = query;
      if (body.kind !== 'setOp' || body.op !== 'union' || query.with.length > 0)
        return this.bind(query, commons, false);
      let base = visibleOf(this.#rows(body.left, commons, undefined), Number.MAX_SAFE_INTEGER);
      const names = base.schema.map((column, i) => table.columnNames[i]?.text ?? column.name);
      recursion.self = selfScan(recursion.name, base, names);
      let step = this.#rows(body.right, commons, undefined);
      if (recursion.references.length === 0) return this.#setOp(body, commons, undefined);
      const wider = widerTypes(base, step, body.at);
      if (wider !== null) {
        base = withTypes(base, wider, body.at);
        recursion.self = selfScan(recursion.name, base, names);
        recursion.references.length = 0;
        step = this.#rows(body.right, commons, undefined);
      }
      const cut = query.limit ?? query.offset ?? query.orderBy[0]?.expr;
      if (cut !== undefined) {
        throw new StreamError('SQL_UNSUPPORTED', 'ORDER BY, LIMIT and OFFSET may not stand in a recursion', {
          at: cut.at,
          hint: 'put them into the query that reads it',
        });
      }
      if (step.schema.length !== base.schema.length) {
        throw new StreamError(
          'SQL_BIND',
          `the sides of UNION have ${base.schema.length} and ${step.schema.length} columns`,
          { at: body.at, hint: 'select as many columns on each side' },
        );
      }
      const types = base.schema.map(({ type }) => type);
      return recursive(recursion, base, withTypes(step, types, body.at), body.all);
    } finally {
      this.#context.recursions.delete(table);
    }
  }

  #body(
    body: QueryBody,
    orderBy: readonly OrderItem[],
    commons: Commons | null,
    around: ExprScope | undefined,
  ): BoundBody {
    if (body.kind === 'select') {
      const subquery = (query: Query, inner: Commons | null, outer: ExprScope | undefined): Plan =>
        this.bind(query, inner, false, outer);
      return new SelectBinder(this.#context, commons, subquery, around).bind(body, orderBy);
    }
    const plan = this.#rows(body, commons, around);
    const sortKeys = orderBy.map(
      (item): SortKey => ({
        column: this.#outputColumn(item.expr, plan.schema),
        descending: item.descending,
        nullsFirst: item.nullsFirst,
      }),
    );
    return { plan, visible: plan.schema.length, sortKeys };
  }

  #rows(body: QueryBody, commons: Commons | null, around: ExprScope | undefined): Plan {
    switch (body.kind) {
      case 'select':
        return this.#body(body, [], commons, around).plan;
      case 'nested':
        return this.bind(body.query, commons, false, around);
      case 'values':
        return bindValues(body.rows, this.#context, body.at, null);
      case 'setOp':
        return this.#setOp(body, commons, around);
    }
  }

  #setOp(body: Extract<QueryBody, { kind: 'setOp' }>, commons: Commons | null, around: ExprScope | undefined): Plan {
    const what = body.op.toUpperCase();
    const sides = [this.#rows(body.left, commons, around), this.#rows(body.right, commons, around)];
    const [left, right] = sides;
    if (left.schema.length !== right.schema.length) {
      throw new StreamError(
        'SQL_BIND',
        `the sides of ${what} have ${left.schema.length} and ${right.schema.length} columns`,
        { at: body.at, hint: 'select as many columns on each side' },
      );
    }
    const types = left.schema.map((column, i) =>
      unifiedType([columnOf(column), columnOf(right.schema[i])], body.at, `column ${i + 1} of ${what}`),
    );
    const inputs = sides.map((side) => withTypes(side, types, body.at));
    const nullable = (i: number): boolean =>
      body.op === 'union'
        ? inputs.some((side) => side.schema[i].nullable)
        : body.op === 'except'
          ? inputs[0].schema[i].nullable
          : inputs.every((side) => side.schema[i].nullable);
    const schema = left.schema.map(({ name }, i) => ({ name, type: types[i], nullable: nullable(i) }));
    if (body.op !== 'union') {
      return { op: 'setOp', kind: body.op, all: body.all, left: inputs[0], right: inputs[1], schema };
    }
    const union: Plan = { op: 'union', inputs, schema };
    return body.all ? union : { op: 'distinct', input: union, schema };
  }

  /** ORDER BY over a UNION or VALUES: an output column by name or position. */
  #outputColumn(ast: AstExpr, schema: readonly ColumnSchema[]): number {
    if (ast.kind === 'number') return positionOf(ast, schema.length) - 1;
    if (ast.kind === 'column' && ast.path.length === 1) {
      const [name] = ast.path;
      const column = schema.findIndex((candidate) => candidate.name === name.text);
      if (column >= 0) return column;
      const hint = suggestion(
        name.text,
        schema.map((candidate) => candidate.name),
      );
      throw new StreamError('SQL_BIND', `there is no output column "${name.text}"`, {
        at: name.at,
        ...(hint ? { hint } : {}),
      });
    }
    throw new StreamError('SQL_UNSUPPORTED', 'ORDER BY an expression here is not supported', {
      at: ast.at,
      hint: 'order by an output column, or wrap the query: SELECT … FROM (…) ORDER BY …',
    });
  }

  /** The constant of LIMIT or OFFSET; null when there is none (NULL and ALL are none). */
  #count(ast: AstExpr | null, clause: string): number | null {
    if (ast === null) return null;
    const scope: ExprScope = { context: this.#context, scope: new Scope([]), schema: [], clause };
    const bound = coerce(bindExpr(ast, scope), BIGINT, ast.at);
    if (bound.op !== 'literal')
      throw new StreamError('SQL_UNSUPPORTED', `${clause} must be a constant`, { at: ast.at });
    if (bound.value === null) return null;
    if (typeof bound.value !== 'number' || bound.value < 0) {
      throw new StreamError('SQL_BIND', `${clause} must be 0 or more`, { at: ast.at, hint: `write ${clause} 10` });
    }
    return bound.value;
  }

  /**
   * At the root of a pull query: a Sort. Elsewhere rows have no order, so ORDER BY counts only together with LIMIT or OFFSET, as a
   * TopN, and is dropped without them.
   */
  #cut(
    { plan, visible, sortKeys }: BoundBody,
    limit: number | null,
    offset: number,
    isRoot: boolean,
    at: Position,
  ): Plan {
    const isCut = limit !== null || offset > 0;
    if (isRoot && this.#context.mode === 'pull') {
      if (!isCut && sortKeys.length === 0) return visibleOf(plan, visible);
      return visibleOf({ op: 'sort', input: plan, orderBy: sortKeys, limit, offset, schema: plan.schema }, visible);
    }
    if (!isCut) return visibleOf(plan, visible);
    if (limit === 0) return visibleOf({ op: 'filter', input: plan, predicate: FALSE, schema: plan.schema }, visible);
    if (limit === null) {
      throw new StreamError('SQL_UNSUPPORTED', 'OFFSET without LIMIT is not supported here', {
        at,
        hint: 'add a LIMIT',
      });
    }
    const rank = offset > 0;
    const rankColumn = plan.schema.length;
    const top: Plan = {
      op: 'topn',
      input: plan,
      partitionBy: [],
      orderBy: sortKeys,
      limit: limit + offset,
      rank,
      schema: rank ? [...plan.schema, { name: 'row_number', type: BIGINT, nullable: false }] : plan.schema,
    };
    if (!rank) return visibleOf(top, visible);
    const predicate: Expr = {
      op: 'compare',
      cmp: '>',
      left: columnRef(top.schema, rankColumn),
      right: literal(offset, BIGINT),
      type: { kind: 'boolean' },
    };
    return visibleOf({ op: 'filter', input: top, predicate, schema: top.schema }, visible);
  }
}

/** The types that the columns of a recursion must have to hold those of its step too; null when it has them. */
function widerTypes(base: Plan, step: Plan, at: Position): SqlType[] | null {
  if (base.schema.length !== step.schema.length) return null;
  const types = base.schema.map((column, i) =>
    unifiedType([columnOf(column), columnOf(step.schema[i])], at, `column ${i + 1} of the recursion`),
  );
  return types.every((type, i) => sameType(type, base.schema[i].type)) ? null : types;
}

const columnOf = ({ type }: ColumnSchema): Expr => ({ op: 'column', index: 0, type });

/** The first `visible` columns; a NULL without a type becomes text. */
function visibleOf(plan: Plan, visible: number): Plan {
  const types = plan.schema.slice(0, visible).map(({ type }) => (type.kind === 'null' ? VARCHAR : type));
  return withTypes(plan, types, { line: 1, column: 1 });
}

/** The plan's first columns as the given types; the plan itself when they are. */
function withTypes(plan: Plan, types: readonly SqlType[], at: Position): Plan {
  if (types.length === plan.schema.length && types.every((type, i) => sameType(type, plan.schema[i].type))) return plan;
  const exprs = types.map((type, i) => {
    const column = plan.schema[i];
    return column.type.kind === 'null' ? literal(null, type) : coerce(columnRef(plan.schema, i), type, at);
  });
  const schema = exprs.map((expr, i) => ({
    name: plan.schema[i].name,
    type: types[i],
    nullable: isNullable(expr, plan.schema),
  }));
  return { op: 'project', input: plan, exprs, schema };
}

/** VALUES lists; with `targets`, as values of those types (INSERT). Rows of constants are a Values node, others a Union of Projects. */
export function bindValues(
  rows: readonly (readonly AstExpr[])[],
  context: BindContext,
  at: Position,
  targets: readonly SqlType[] | null,
): Plan {
  const width = rows[0].length;
  const odd = rows.find((row) => row.length !== width);
  if (odd !== undefined)
    throw new StreamError('SQL_BIND', 'the lists of VALUES differ in length', {
      at: odd[0].at,
      hint: 'give each list as many values; NULL for none',
    });
  const scope: ExprScope = { context, scope: new Scope([]), schema: [], clause: 'VALUES' };
  const cells = rows.map((row) => row.map((cell) => bindExpr(cell, scope)));
  const types = Array.from({ length: width }, (_, i) => {
    const type =
      targets?.[i] ??
      unifiedType(
        cells.map((row) => row[i]),
        at,
        `column ${i + 1} of VALUES`,
      );
    return type.kind === 'null' && targets !== null ? NULL_TYPE : type;
  });
  const level = targets === null ? 'implicit' : 'assignment';
  const typed = cells.map((row, r) => row.map((cell, i) => coerce(cell, types[i], rows[r][i].at, level)));
  const schema = types.map(
    (type, i): ColumnSchema => ({
      name: `column${i + 1}`,
      type,
      nullable: typed.some((row) => isNullable(row[i], [])),
    }),
  );
  if (typed.every((row) => row.every((cell) => cell.op === 'literal'))) {
    return {
      op: 'values',
      rows: typed.map((row) => row.map((cell) => (cell as Extract<Expr, { op: 'literal' }>).value)),
      schema,
    };
  }
  const inputs = typed.map(
    (exprs): Plan => ({ op: 'project', input: { op: 'values', rows: [[]], schema: [] }, exprs, schema }),
  );
  return inputs.length === 1 ? inputs[0] : { op: 'union', inputs, schema };
}
