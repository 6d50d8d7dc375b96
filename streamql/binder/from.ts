import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { Relation } from '../../src/ports/relations.ts';
import { TIMESTAMP, typeName } from '../../src/values/types.ts';
import type { Asof, AstExpr, Name, TableRef } from '../parser/ast.ts';
import type { AsOf } from '../plan/as-of.ts';
import { isHalf, joinOn } from '../plan/join.ts';
import { keyOf } from '../plan/keys.ts';
import type { Expr, Join, Plan, Scan } from '../plan/plan.ts';
import { columnRef, conjuncts, filterBy } from '../plan/walk.ts';
import { bindAsOf } from './as-of.ts';
import { asofJoin } from './asof.ts';
import { bindCompare } from './calls.ts';
import { coerce } from './coerce.ts';
import { type BindContext, type Commons, findCommon } from './context.ts';
import { isCorrelated, outward } from './decorrelate.ts';
import { bindBoolean, bindExpr, type ExprScope } from './expressions.ts';
import { callTable, lateralJoin, refuseLateral } from './lateral.ts';
import { bindMatch } from './match.ts';
import { pivotQuery, unpivotQuery } from './pivot.ts';
import { Scope, type ScopeColumn, suggestion } from './scope.ts';
import { lookupJoin, temporalJoin } from './temporal.ts';
import { commonNames, fullUsing, type UsingPair, usingScope } from './using.ts';
import { windowPlan } from './windows.ts';

type WindowRef = Extract<TableRef, { kind: 'window' }>;

export interface Bound {
  readonly plan: Plan;
  readonly scope: Scope;
}

/** Binds a query inside FROM; select.ts gives it, so that the two files need not import each other. */
export type BindSubquery = (
  query: Extract<TableRef, { kind: 'subquery' }>['query'],
  commons: Commons | null,
  outer: ExprScope | undefined,
) => Plan;

/** FROM: one plan and the names of its columns. */
export class FromBinder {
  readonly #context: BindContext;
  readonly #commons: Commons | null;
  readonly #subquery: BindSubquery;
  readonly #outer: ExprScope | undefined;

  constructor(context: BindContext, commons: Commons | null, subquery: BindSubquery, outer: ExprScope | undefined) {
    this.#context = context;
    this.#commons = commons;
    this.#subquery = subquery;
    this.#outer = outer;
  }

  bind(ref: TableRef): Bound {
    switch (ref.kind) {
      case 'table':
        return this.#table(ref);
      case 'subquery': {
        const plan = this.#subquery(ref.query, this.#commons, this.#outer);
        return aliased(plan, null, ref.alias);
      }
      case 'pivot':
      case 'unpivot': {
        const { scope } = this.bind(ref.input);
        const query = ref.kind === 'pivot' ? pivotQuery(ref, scope) : unpivotQuery(ref, scope);
        return aliased(this.#subquery(query, this.#commons, this.#outer), null, ref.alias);
      }
      case 'function':
        return callTable(UNIT, ref, this.#lateralScope({ plan: UNIT, scope: new Scope([]) }, ref.name.text), false);
      case 'window':
        return this.#window(ref);
      case 'match':
        return aliased(bindMatch(ref, this.bind(ref.input), this.#context), null, ref.alias);
      case 'join':
        return this.#join(ref);
    }
  }

  #table({ name, alias, at, asOf }: TableName): Bound {
    const moment = asOf === undefined ? this.#context.asOf : this.#moment(asOf);
    if (asOf !== undefined && moment === null) {
      throw new StreamError(
        'SQL_UNSUPPORTED',
        'FOR SYSTEM_TIME AS OF a column stands on the right side of JOIN or LEFT JOIN',
        {
          at: asOf.at,
          hint: 'l JOIN t FOR SYSTEM_TIME AS OF l.ts ON l.k = t.k; t$history has all versions of a table',
        },
      );
    }
    this.#context.countRelation(at);
    const common = findCommon(this.#commons, name.text);
    if (common !== null) {
      if (asOf !== undefined) throw noPast(name, 'a common table', 'write it after the views that it reads', asOf.at);
      this.#context.usedCommons.add(common.table);
      const recursion = this.#context.recursions.get(common.table);
      if (recursion !== undefined) {
        recursion.references.push(at);
        if (recursion.self === null) {
          throw new StreamError('SQL_BIND', `"${name.text}" names itself before the UNION that says where it begins`, {
            at,
            hint: `WITH RECURSIVE ${name.text} AS (SELECT … UNION SELECT … FROM ${name.text} JOIN …)`,
          });
        }
        return aliased(recursion.self, name.text, alias);
      }
      this.#context.opened.push(name.text);
      const plan = this.#subquery(common.table.query, common.table.recursive ? common : common.outer, undefined);
      this.#context.opened.pop();
      const { columnNames } = common.table;
      checkNameCount(columnNames, plan.schema.length);
      const schema = plan.schema.map((column, i) => ({ ...column, name: columnNames[i]?.text ?? column.name }));
      return aliased({ ...plan, schema }, name.text, alias);
    }
    const relation = this.#context.catalog.relation(name.text);
    if (relation === undefined) {
      throw new StreamError('SQL_BIND', `there is no source, table or view "${name.text}"`, {
        at,
        sqlState: '42P01',
        hint:
          (this.#context.opened.includes(name.text)
            ? `it names itself: write WITH RECURSIVE ${name.text} AS (… UNION …)`
            : undefined) ??
          suggestion(name.text, this.#context.catalog.relationNames()) ??
          'SHOW SOURCES, SHOW TABLES and SHOW VIEWS list them',
      });
    }
    const scan = scanOf(relation, this.#context.dropsLate);
    if (moment === null) return aliased(scan, localName(name), alias);
    const { mode } = this.#context;
    if (mode === 'view')
      throw noPast(name, 'followed here', 'a view and a push query show the present, as it changes', at);
    if (relation.kind !== 'view') throw noPast(name, ...PASTS[relation.kind], at);
    return aliased({ ...scan, asOf: moment }, localName(name), alias);
  }

  /** Null when it depends on rows. */
  #moment(asOf: AstExpr): AsOf | null {
    try {
      return bindAsOf(asOf, new Scope([]), [], 'FOR SYSTEM_TIME AS OF', this.#context);
    } catch (thrown) {
      // A column, which has no place here.
      if (thrown instanceof StreamError && thrown.code === 'SQL_BIND') return null;
      throw thrown;
    }
  }

  #window(ref: WindowRef): Bound {
    const input = this.bind(ref.input);
    const { index } = input.scope.resolve([ref.time]);
    const time = input.plan.schema[index];
    if (time.type.kind !== 'timestamp' && time.type.kind !== 'timestamptz') {
      throw new StreamError(
        'SQL_TYPE',
        `the time column "${ref.time.text}" is ${typeName(time.type)}, not a timestamp`,
        {
          at: ref.time.at,
          hint: 'CAST it in a subquery',
        },
      );
    }
    const partitionBy = ref.partitionBy.map((column) => input.scope.resolve([column]).index);
    const plan = windowPlan(input.plan, { ...ref, timeColumn: index, partitionBy }, this.#context);
    const table = ref.input.kind === 'join' ? null : (input.scope.columns[0]?.table ?? null);
    return aliased(plan, table, ref.alias);
  }

  #join(ref: JoinRef): Bound {
    // The left spine of a JOIN b JOIN c … is as long as the parser lets it be; the depth check bounds it.
    const left = this.bind(ref.left);
    if (ref.right.kind === 'table' && ref.right.asOf !== undefined && (ref.join === 'inner' || ref.join === 'left'))
      return this.#asOf(ref, left, ref.right, ref.right.asOf, ref.join);
    if (isLateral(ref.right)) return this.#lateral(ref, left, ref.right);
    if (holdsLateral(ref.right)) return this.#lateralJoin(ref, left, ref.right);
    const right = this.bind(ref.right);
    if (ref.asof !== undefined) return this.#asof(ref, ref.asof, left, right);
    if (ref.join === 'right') return this.#rightJoin(ref, left, right);
    return this.#joinOf(ref, left, right, ref.join === 'cross' ? 'inner' : ref.join);
  }

  /** b LEFT JOIN a, with a's columns put back in front. */
  #rightJoin(ref: JoinRef, left: Bound, right: Bound): Bound {
    const { plan, scope } = this.#joinOf(ref, right, left, 'left');
    const width = right.plan.schema.length;
    const order = [...left.plan.schema.map((_, i) => width + i), ...right.plan.schema.map((_, i) => i)];
    const to = new Map(order.map((from, position) => [from, position]));
    const columns = scope.columns.map((column) => ({ ...column, index: to.get(column.index) as number }));
    // What USING merged stays first, then the columns as they now stand.
    const names = new Set(scope.columns.filter((column) => column.merged).map((column) => column.name));
    const isFirst = (column: ScopeColumn): boolean => names.has(column.name) && !column.merged;
    columns.sort((a, b) => Number(isFirst(b)) - Number(isFirst(a)) || a.index - b.index);
    return {
      plan: {
        op: 'project',
        input: plan,
        exprs: order.map((from) => columnRef(plan.schema, from)),
        schema: order.map((from) => plan.schema[from]),
      },
      scope: new Scope(columns),
    };
  }

  #joinOf(ref: JoinRef, left: Bound, right: Bound, kind: Join['kind']): Bound {
    const { terms, pairs, scope } = this.#on(ref, left, right);
    const plan = joinOn(left.plan, right.plan, kind, terms);
    if (isHalf(kind)) return { plan, scope: left.scope };
    return kind === 'full' ? fullUsing(plan, scope, pairs) : { plan, scope: usingScope(scope, pairs) };
  }

  /** The condition over left ++ right, of USING, NATURAL and ON. */
  #on(ref: JoinRef, left: Bound, right: Bound): Condition {
    const shift = left.plan.schema.length;
    const using = ref.natural ? commonNames(left.scope, right.scope, ref.at) : ref.using;
    const scope = Scope.join(left.scope, right.scope, shift, ref.at);
    const schema = [...left.plan.schema, ...right.plan.schema];
    const terms: Expr[] = [];
    const pairs: UsingPair[] = [];
    for (const name of using) {
      const l = left.scope.resolve([name]).index;
      const r = right.scope.resolve([name]).index + shift;
      terms.push(bindCompare('=', columnRef(schema, l), columnRef(schema, r), name.at));
      pairs.push({ name, left: l, right: r });
    }
    const outer = this.#outer === undefined ? {} : { outer: this.#outer };
    const inOn: ExprScope = { context: this.#context, scope, schema, clause: 'ON', ...outer };
    if (ref.on !== null) terms.push(...conjuncts(bindBoolean(ref.on, inOn)));
    return { terms, pairs, scope, inOn };
  }

  /** A join with a table as it was at a time of the left row, or as it is when the row comes. */
  #asOf(ref: JoinRef, left: Bound, table: TableName, asOf: AstExpr, kind: 'inner' | 'left'): Bound {
    const { name, alias } = table;
    const { catalog, mode } = this.#context;
    const relation = findCommon(this.#commons, name.text) === null ? catalog.relation(name.text) : undefined;
    if (asOf.kind === 'call' && asOf.name.text === 'proctime' && asOf.args.length === 0) {
      if (relation?.kind === 'source' || relation?.kind === 'dead_letter')
        throw new StreamError('SQL_UNSUPPORTED', `rows are looked up in a table or view, "${name.text}" is a stream`, {
          at: name.at,
          hint: 'make a view of the last row of each key, or join it without FOR SYSTEM_TIME',
        });
      const right = this.#table({ kind: 'table', name, alias, at: table.at });
      const { terms, pairs, scope } = this.#on(ref, left, right);
      return { plan: lookupJoin(left.plan, right.plan, kind, terms), scope: usingScope(scope, pairs) };
    }
    if (relation?.kind === 'view' && mode === 'pull') {
      const { scope, plan } = left;
      if (bindAsOf(asOf, scope, plan.schema, 'FOR SYSTEM_TIME AS OF', this.#context) !== null) {
        const right = this.#table(table);
        return this.#joinOf(ref, left, right, kind);
      }
    }
    const history = relation?.key == null ? undefined : catalog.relation(`${name.text}$history`);
    if (relation?.key == null || history === undefined) {
      throw new StreamError(
        'SQL_UNSUPPORTED',
        `"${name.text}" has no versions: they are those of a TABLE with a PRIMARY KEY`,
        {
          at: name.at,
          hint: 'an ASOF JOIN finds the nearest row of a stream or view',
        },
      );
    }
    if (this.#context.asOf !== null) throw noPast(name, ...PASTS.table, table.at);
    this.#context.countRelation(table.at);
    const right = aliased(scanOf(history, false), localName(name), alias);
    const { terms, pairs, scope } = this.#on(ref, left, right);
    const outer = this.#outer === undefined ? {} : { outer: this.#outer };
    const clause = 'FOR SYSTEM_TIME AS OF';
    const bound = bindExpr(asOf, {
      context: this.#context,
      scope: left.scope,
      schema: left.plan.schema,
      clause,
      ...outer,
    });
    if (bound.type.kind !== 'timestamp' && bound.type.kind !== 'timestamptz') {
      throw new StreamError('SQL_TYPE', `${clause} takes a timestamp, this is ${typeName(bound.type)}`, {
        at: asOf.at,
      });
    }
    const time = coerce(bound, TIMESTAMP, asOf.at, 'explicit');
    const plan = temporalJoin(left.plan, right.plan, kind, terms, time, relation.key, ref.on?.at ?? ref.at);
    return { plan, scope: usingScope(scope, pairs) };
  }

  #asof(ref: JoinRef, { match }: Asof, left: Bound, right: Bound): Bound {
    const { terms, pairs, scope, inOn } = this.#on(ref, left, right);
    const time = match === null ? null : bindBoolean(match, { ...inOn, clause: 'MATCH_CONDITION' });
    const kind = ref.join === 'left' ? 'left' : 'inner';
    const isKey = (columns: readonly number[]): boolean => {
      const key = keyOf(right.plan, (scan) => this.#context.catalog.relation(scan.name)?.key ?? null);
      return key?.every((column) => columns.includes(column)) === true;
    };
    const plan = asofJoin(left.plan, right.plan, kind, terms, time, isKey, match?.at ?? ref.on?.at ?? ref.at);
    return { plan, scope: usingScope(scope, pairs) };
  }

  /** A function, or a subquery after LATERAL, joined to what it may refer to. */
  #lateral(ref: JoinRef, left: Bound, right: LateralRef): Bound {
    const kind = ref.join === 'cross' ? 'inner' : ref.join;
    if ((kind !== 'inner' && kind !== 'left') || ref.asof !== undefined) {
      if (right.kind === 'function') return this.#joinOf(ref, left, this.bind(right), kind === 'right' ? 'left' : kind);
      throw refuseLateral(ref.asof === undefined ? kind : 'asof', right.at);
    }
    const isPlain = ref.using.length === 0 && !ref.natural && (ref.on === null || isTrue(ref.on));
    if (right.kind === 'function' && (isPlain || kind === 'inner')) {
      const made = callTable(left.plan, right, this.#lateralScope(left, right.name.text), kind === 'left');
      const width = left.plan.schema.length;
      const own = new Scope(made.scope.columns.map((column) => ({ ...column, index: column.index - width })));
      const { terms, pairs, scope } = this.#on(ref, left, {
        plan: { ...made.plan, schema: made.plan.schema.slice(width) },
        scope: own,
      });
      return { plan: filterBy(made.plan, terms), scope: usingScope(scope, pairs) };
    }
    if (right.kind === 'function') {
      throw new StreamError('SQL_UNSUPPORTED', 'LEFT JOIN of a function takes ON TRUE', {
        at: ref.on?.at ?? ref.at,
        hint: `LEFT JOIN LATERAL (SELECT * FROM ${right.name.text}(…) WHERE …) ON TRUE`,
      });
    }
    const plan = this.#subquery(right.query, this.#commons, this.#lateralScope(left, 'LATERAL'));
    const bound = aliased(plan, null, right.alias);
    const { terms, pairs, scope } = this.#on(ref, left, bound);
    return { plan: lateralJoin(left.plan, plan, kind, terms), scope: usingScope(scope, pairs) };
  }

  /** A join in parentheses, of which some item may refer to the rows of `left`. */
  #lateralJoin(ref: JoinRef, left: Bound, inner: TableRef): Bound {
    const within = new FromBinder(this.#context, this.#commons, this.#subquery, this.#lateralScope(left, 'FROM'));
    const right = within.bind(inner);
    const kind = ref.join === 'cross' ? 'inner' : ref.join;
    if ((kind === 'inner' || kind === 'left') && ref.asof === undefined) {
      const { terms, pairs, scope } = this.#on(ref, left, right);
      return { plan: lateralJoin(left.plan, right.plan, kind, terms), scope: usingScope(scope, pairs) };
    }
    if (isCorrelated(right.plan)) throw refuseLateral(ref.asof === undefined ? kind : 'asof', inner.at);
    const plain = { plan: outward(right.plan), scope: right.scope };
    if (ref.asof !== undefined) return this.#asof(ref, ref.asof, left, plain);
    return kind === 'right' ? this.#rightJoin(ref, left, plain) : this.#joinOf(ref, left, plain, kind);
  }

  #lateralScope({ plan, scope }: Bound, clause: string): ExprScope {
    const outer = this.#outer === undefined ? {} : { outer: this.#outer };
    return { context: this.#context, scope, schema: plan.schema, clause, ...outer };
  }

  /** FROM a, b. */
  cross(left: Bound, ref: TableRef): Bound {
    const { at } = ref;
    if (isLateral(ref)) {
      const join: JoinRef = {
        kind: 'join',
        join: 'cross',
        left: ref,
        right: ref,
        on: null,
        using: [],
        natural: false,
        at,
      };
      return this.#lateral(join, left, ref);
    }
    if (holdsLateral(ref)) {
      const join: JoinRef = {
        kind: 'join',
        join: 'cross',
        left: ref,
        right: ref,
        on: null,
        using: [],
        natural: false,
        at,
      };
      return this.#lateralJoin(join, left, ref);
    }
    const right = this.bind(ref);
    const scope = Scope.join(left.scope, right.scope, left.plan.schema.length, at);
    return { plan: joinOn(left.plan, right.plan, 'inner', []), scope };
  }
}

/** A source without its late rows has a watermark to be relied on. */
function timeOf({ kind, time }: Relation, dropsLate: boolean): Pick<Scan, 'time' | 'dropsLate'> {
  if (time === undefined) return {};
  return dropsLate && !time.firm && kind === 'source' ? { time: { ...time, firm: true }, dropsLate: true } : { time };
}

const scanOf = (relation: Relation, dropsLate: boolean): Scan => ({
  op: 'scan',
  relation: relation.id,
  name: relation.name,
  columns: relation.columns.map((_, i) => i),
  changelog: relation.changelog,
  ...timeOf(relation, dropsLate),
  schema: relation.columns,
});

/** What is asked for the past of something that has none here, and what to do. */
const noPast = (name: Name, what: string, hint: string, at: Position): StreamError =>
  new StreamError('SQL_UNSUPPORTED', `AS OF reads the past of views, "${name.text}" is ${what}`, { at, hint });

const PASTS: Readonly<Record<Exclude<Relation['kind'], 'view'>, [what: string, hint: string]>> = {
  source: ['a source', 'its history is its log: filter by _offset or _timestamp'],
  table: ['a table', 'its $history has all versions of its rows; or read a view of it that has retain_history'],
  dead_letter: ['a list of dead letters', 'read it without AS OF'],
};

/** One row without columns. */
const UNIT: Plan = { op: 'values', rows: [[]], schema: [] };

type LateralRef = Extract<TableRef, { kind: 'function' | 'subquery' }>;
const isLateral = (ref: TableRef): ref is LateralRef =>
  ref.kind === 'function' || (ref.kind === 'subquery' && ref.lateral === true);
const holdsLateral = (ref: TableRef): boolean =>
  ref.kind === 'join' && [ref.left, ref.right].some((side) => isLateral(side) || holdsLateral(side));
const isTrue = (ast: AstExpr): boolean => ast.kind === 'boolean' && ast.value;

type TableName = Extract<TableRef, { kind: 'table' }>;
type JoinRef = Extract<TableRef, { kind: 'join' }>;

interface Condition {
  readonly terms: Expr[];
  readonly pairs: readonly UsingPair[];
  readonly scope: Scope;
  readonly inOn: ExprScope;
}

/** What columns are named after: of schema.name the name. */
const localName = ({ text, schema }: Name): string => (schema === undefined ? text : text.slice(schema.length + 1));

function aliased(plan: Plan, name: string | null, alias: { name: Name; columnNames: readonly Name[] } | null): Bound {
  if (alias !== null) checkNameCount(alias.columnNames, plan.schema.length);
  return { plan, scope: Scope.of(alias?.name.text ?? name, plan.schema, alias?.columnNames) };
}

function checkNameCount(names: readonly Name[], columns: number): void {
  if (names.length <= columns) return;
  throw new StreamError('SQL_BIND', `${names.length} column names for ${columns} columns`, { at: names[columns].at });
}
